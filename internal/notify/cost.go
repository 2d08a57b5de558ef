package notify

import (
	"fmt"
	"time"
)

// The prices of requests to a queue, in US dollars, and how many a month are free.
// What a topic sends to a queue costs nothing, and what it is told nothing below a
// million a month. Sources: Amazon SQS pricing, standard queues; Amazon SNS pricing,
// standard topics; us-east-1, as of 2025.
const (
	requestsPrice = 0.40 // a million
	requestsFree  = 1_000_000
)

// MonthOfWaiting says, for people, what a command costs that waits for a month.
func MonthOfWaiting() string {
	requests := int64(30 * 24 * time.Hour / longPoll)
	return fmt.Sprintf("a month of that is %d requests, at most $%.2f, and the first %d of a month are free",
		requests, float64(requests)*requestsPrice/1e6, requestsFree)
}
