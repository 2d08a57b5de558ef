package s3cold

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	sdk "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go/logging"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/awschain"
	"github.com/firn-archive/firn/internal/clock"
	"github.com/firn-archive/firn/internal/config"
	"github.com/firn-archive/firn/internal/exchange"
)

// amazon is the home of all of Amazon's endpoints, public, private and FIPS: a
// bucket's name is unique among them.
const amazon = "aws"

// A service is S3 as one account sees it.
type service struct {
	client *sdk.Client
	puts   *exchange.Signer // of the requests of which there are most
	http   *exchange.Client
	region string
	home   string // for identities: amazon, or the endpoint of another server
}

// connect reads the AWS configuration and makes a client of it. It sends
// nothing.
func connect(ctx context.Context, cfg Config) (s service, err error) {
	settings := aws.Config{Region: cfg.Region, Credentials: cfg.Credentials}
	if cfg.Credentials == nil {
		if settings, err = awschain.Load(ctx, cfg.Region, cfg.Profile); err != nil {
			return s, err
		}
	}
	s.http = &exchange.Client{Transport: cfg.Transport, Clock: cfg.Clock, Server: "an S3 server", Unmet: cfg.Unmet, Failed: failedInside, NoCredentials: awschain.Missing}
	if s.http.Clock == nil {
		s.http.Clock = clock.System{}
	}
	if s.http.Transport == nil {
		s.http.Transport = exchange.Network(settings.HTTPClient)
	}
	s.client = sdk.NewFromConfig(settings, func(o *sdk.Options) {
		if cfg.Endpoint != "" {
			o.BaseEndpoint = &cfg.Endpoint
		}
		if o.BaseEndpoint == nil && cfg.Known != "" {
			o.BaseEndpoint = &cfg.Known
		}
		if o.Region == "" && o.BaseEndpoint != nil {
			o.Region = "us-east-1" // only signed with; another server has no regions
		}
		o.UsePathStyle = !amazonEndpoint(o.BaseEndpoint) || strings.Contains(cfg.Bucket, ".")
		o.HTTPClient = s.http
		o.Credentials = awschain.Tagged(o.Credentials)
		o.Logger = logging.Nop{}
		o.Retryer, o.RetryMaxAttempts = aws.NopRetryer{}, 0
		o.DisableLogOutputChecksumValidationSkipped = true
		// Our own hashes go with every body, and firn checks what it reads.
		o.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired
		o.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenRequired
		o.ContinueHeaderThresholdBytes = -1
		o.APIOptions = append(o.APIOptions, awsmiddleware.AddUserAgentKey("firn"))
	})
	if s.region = s.client.Options().Region; s.region == "" {
		return s, &firn.Error{Op: "open", Subject: cfg.Label, Kind: firn.Usage, Err: errText("no region is set"),
			Hint: "name it, as in s3:BUCKET/PREFIX?region=eu-west-1, or set AWS_REGION"}
	}
	s.puts = s.signer(ctx, cfg.Bucket)
	return s, s.locate(s.client.Options().BaseEndpoint, cfg)
}

// locate notes where the server is.
func (s *service) locate(base *string, cfg Config) error {
	s.home, s.http.Endpoint = amazon, "s3."+s.region+".amazonaws.com"
	if base != nil {
		u, err := url.Parse(*base)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return &firn.Error{Op: "open", Subject: cfg.Label, Kind: firn.Usage,
				Err: fmt.Errorf("the endpoint %q is not the address of a server", *base), Hint: "an address is like http://127.0.0.1:9000"}
		}
		if err := config.CheckHost(u.Hostname()); err != nil {
			return &firn.Error{Op: "open", Subject: cfg.Label, Kind: firn.Usage, Err: err}
		}
		s.http.Endpoint = u.Host
		if !amazonHost(u.Hostname()) {
			s.home = strings.TrimSuffix(u.Scheme+"://"+u.Host+u.Path, "/")
		}
	}
	judge := judge{label: cfg.Label, bucket: cfg.Bucket, base: cfg.base(), http: s.http}
	s.http.Judge, s.http.Nowhere = judge.refusal, s.nowhere
	return nil
}

// nowhere says what to do where no host has the name of a server that nobody has met.
func (s *service) nowhere(unmet bool) string {
	switch {
	case !unmet:
		return ""
	case s.home == amazon:
		return exchange.Misnamed(s.region)
	}
	return exchange.Misnamed("")
}

func amazonEndpoint(base *string) bool {
	if base == nil {
		return true
	}
	u, err := url.Parse(*base)
	return err == nil && amazonHost(u.Hostname())
}

func amazonHost(host string) bool {
	return slices.ContainsFunc([]string{".amazonaws.com", ".amazonaws.com.cn", ".api.aws"}, func(suffix string) bool {
		return strings.HasSuffix(host, suffix)
	})
}
