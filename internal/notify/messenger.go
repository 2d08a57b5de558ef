package notify

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/awschain"
)

// A Messenger is Amazon's SQS and SNS in one region, as one account sees them. It
// repeats nothing: whoever calls decides what is worth it.
type Messenger struct {
	queues *sqs.Client
	topics *sns.Client
	region string
}

// MessengerConfig says which region and account a Messenger is of.
type MessengerConfig struct {
	Region  string // wins over what the environment and the AWS configuration say
	Profile string // of the AWS configuration; empty: its default
}

// longPoll is how long SQS keeps a request open for the next message: the most
// that it allows. Source: Amazon SQS API reference, "ReceiveMessage".
const longPoll = 20 * time.Second

// answerWithin is how long a whole request may take, the long poll included.
const answerWithin = longPoll + time.Minute

// OpenMessenger reads the AWS configuration; nothing is sent yet. Other servers
// than Amazon's are named by AWS_ENDPOINT_URL_SQS and AWS_ENDPOINT_URL_SNS.
// Errors: Usage.
func OpenMessenger(ctx context.Context, cfg MessengerConfig) (*Messenger, error) {
	settings, err := awschain.Load(ctx, cfg.Region, cfg.Profile)
	if err != nil {
		return nil, err
	}
	if settings.Region == "" {
		return nil, &firn.Error{Op: "open", Subject: "the message queues", Kind: firn.Usage, Err: errors.New("no region is set"), Hint: "set AWS_REGION"}
	}
	settings.Retryer = func() aws.Retryer { return aws.NopRetryer{} }
	settings.HTTPClient = patient(settings.HTTPClient)
	settings.Credentials = awschain.Tagged(settings.Credentials)
	settings.APIOptions = append(settings.APIOptions, awsmiddleware.AddUserAgentKey("firn"))
	return &Messenger{queues: sqs.NewFromConfig(settings), topics: sns.NewFromConfig(settings), region: settings.Region}, nil
}

// patient gives a client that waits for no answer for ever. It starts from the
// SDK's, which knows about proxies and AWS_CA_BUNDLE.
func patient(client aws.HTTPClient) aws.HTTPClient {
	b, ok := client.(*awshttp.BuildableClient)
	if !ok {
		b = awshttp.NewBuildableClient()
	}
	return b.WithTimeout(answerWithin)
}

// kinds says what the codes of the two services mean for a caller. Sources: Amazon
// SQS and Amazon SNS API references, "Common Error Types", and of each action.
var kinds = map[string]firn.Kind{
	"AccessDenied":                firn.Denied,
	"AccessDeniedException":       firn.Denied,
	"AuthorizationError":          firn.Denied,
	"ExpiredToken":                firn.Denied,
	"ExpiredTokenException":       firn.Denied,
	"IncompleteSignature":         firn.Denied,
	"InvalidClientTokenId":        firn.Denied,
	"InvalidSecurity":             firn.Denied,
	"InvalidSignatureException":   firn.Denied,
	"MissingAuthenticationToken":  firn.Denied,
	"NotAuthorized":               firn.Denied,
	"OptInRequired":               firn.Denied,
	"SignatureDoesNotMatch":       firn.Denied,
	"UnrecognizedClientException": firn.Denied,

	codeNoQueue:                 firn.NotFound,
	"QueueDoesNotExist":         firn.NotFound,
	"NotFound":                  firn.NotFound,
	"ResourceNotFoundException": firn.NotFound,

	"RequestExpired":       firn.Skew,
	"RequestTimeTooSkewed": firn.Skew,

	"AWS.SimpleQueueService.RequestThrottled": firn.Throttled,
	"OverLimit":                firn.Throttled,
	"RequestLimitExceeded":     firn.Throttled,
	"RequestThrottled":         firn.Throttled,
	"Throttled":                firn.Throttled,
	"Throttling":               firn.Throttled,
	"ThrottlingException":      firn.Throttled,
	"TooManyRequestsException": firn.Throttled,

	codeDeletedRecently:    firn.Unavailable,
	"QueueDeletedRecently": firn.Unavailable,
}

// The codes that SQS kept from its older protocol.
const (
	codeNoQueue         = "AWS.SimpleQueueService.NonExistentQueue"
	codeDeletedRecently = "AWS.SimpleQueueService.QueueDeletedRecently"
)

// fail makes an error of the SDK one of ours; nil stays nil. Where ctx has ended
// it is the context's cause.
func fail(ctx context.Context, op, subject string, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	e := &firn.Error{Op: op, Subject: subject, Kind: firn.Network, Err: err, Hint: "is there a network?"}
	var operation *smithy.OperationError
	if errors.As(err, &operation) {
		e.Err = operation.Err
	}
	var credentials *awschain.CredentialsError
	var said smithy.APIError
	var answer *smithyhttp.ResponseError
	var unsent *smithyhttp.RequestSendError
	switch {
	case errors.As(err, &credentials):
		e.Kind, e.Err, e.Hint = firn.Denied, fmt.Errorf("no credentials: %w", credentials.Err), "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
	case errors.As(err, &said):
		status := 0
		if errors.As(err, &answer) {
			status = answer.HTTPStatusCode()
		}
		e.Kind, e.Err = kindOf(said.ErrorCode(), status), fmt.Errorf("%s (%s)", said.ErrorMessage(), said.ErrorCode())
		e.Hint = hints[e.Kind]
	case errors.As(err, &unsent):
		e.Err = unsent.Err
	case errors.As(err, &answer):
		e.Kind, e.Hint = kindOf("", answer.HTTPStatusCode()), "is that the address of Amazon's service, or of a server like it?"
	}
	return e
}

// kindOf is the kind of an answer that is no success.
func kindOf(code string, status int) firn.Kind {
	kind, known := kinds[code]
	switch {
	case known:
		return kind
	case status == http.StatusTooManyRequests:
		return firn.Throttled
	case status >= 500:
		return firn.Unavailable
	}
	return firn.Invalid
}

// hints say what to do about a refusal.
var hints = map[firn.Kind]string{
	firn.Denied:      "docs/waiting.md says what these credentials have to be allowed",
	firn.Skew:        "this machine's clock and the service's are too far apart: set the clock",
	firn.Throttled:   "try again in a minute",
	firn.Unavailable: "try again in a minute",
}
