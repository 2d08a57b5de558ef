package notify

import (
	"encoding/json"
	"errors"
	"fmt"
)

// A notice is what a message in a queue says.
type notice struct {
	vault string // the ARN of the vault whose job it is about; empty: it is about none
	job   string
	done  bool // the job succeeded or failed
}

// maxMessage is the largest message that a queue may hold, in bytes. Source:
// Amazon SQS developer guide, "Amazon SQS message quotas".
const maxMessage = 1 << 20

// parseNotice reads the body of a message. That is what the vault service tells,
// the description of a job as JSON, or an envelope of SNS around it, where the
// subscription does not ask for raw delivery. Source: Amazon Glacier developer
// guide, "Configuring vault notifications"; Amazon SNS developer guide, "Parsing
// Amazon SNS message formats".
func parseNotice(body string) (notice, error) {
	if len(body) > maxMessage {
		return notice{}, fmt.Errorf("it has %d bytes", len(body))
	}
	var envelope struct{ Type, Message string }
	// An error is one of the kinds of these fields, or of what follows.
	if json.Unmarshal([]byte(body), &envelope) == nil {
		switch envelope.Type {
		case "Notification":
			body = envelope.Message
		case "SubscriptionConfirmation", "UnsubscribeConfirmation":
			return notice{}, nil
		}
	}
	var job struct {
		VaultARN, JobId, StatusCode string
		Completed                   bool
	}
	if err := json.Unmarshal([]byte(body), &job); err != nil {
		return notice{}, err
	}
	if job.VaultARN == "" || job.JobId == "" {
		return notice{}, errors.New("it is about no job of a vault")
	}
	// Completed is true of failures too.
	done := job.Completed || job.StatusCode == "Succeeded" || job.StatusCode == "Failed"
	return notice{vault: job.VaultARN, job: job.JobId, done: done}, nil
}
