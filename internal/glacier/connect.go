package glacier

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	sdk "github.com/aws/aws-sdk-go-v2/service/glacier"
	"github.com/aws/smithy-go/logging"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/awschain"
	"github.com/firn-archive/firn/internal/clock"
	"github.com/firn-archive/firn/internal/config"
	"github.com/firn-archive/firn/internal/exchange"
)

// A service is the vault API of one region, as one account sees it.
type service struct {
	cfg    Config
	client *sdk.Client
	direct *exchange.Signer // of the requests that there is one of for each archive
	http   *exchange.Client
	region string
	home   string // for identities: "aws", or the endpoint of another server
	label  string // for messages: what the user calls it
}

// connect reads the AWS configuration and makes a client of it. It sends
// nothing.
func connect(ctx context.Context, cfg Config) (*service, error) {
	settings := aws.Config{Region: cfg.Region, Credentials: cfg.Credentials}
	if cfg.Credentials == nil {
		var err error
		if settings, err = awschain.Load(ctx, cfg.Region, cfg.Profile); err != nil {
			return nil, err
		}
	}
	s := &service{cfg: cfg, http: &exchange.Client{Transport: cfg.Transport, Clock: cfg.Clock, Stall: cfg.Stall, Server: "a Glacier server", Unmet: cfg.Unmet, NoCredentials: awschain.Missing}}
	s.http.Judge, s.http.Nowhere = s.judge, s.nowhere
	if cfg.InProcess {
		s.http.Final = final
	}
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
		o.HTTPClient = s.http
		o.Credentials = awschain.Tagged(o.Credentials)
		o.Logger = logging.Nop{}
		o.Retryer, o.RetryMaxAttempts = aws.NopRetryer{}, 0
		o.APIOptions = append(o.APIOptions, awsmiddleware.AddUserAgentKey("firn"))
	})
	if s.region = s.client.Options().Region; s.region == "" {
		return nil, &firn.Error{Op: "open", Subject: "the vault service", Kind: firn.Usage, Err: errText("no region is set"),
			Hint: "name it, as in glacier:eu-west-1/VAULT, or set AWS_REGION"}
	}
	s.direct = s.signer(ctx)
	return s, s.locate(s.client.Options().BaseEndpoint)
}

// locate notes where the server is. A vault's ARN is unique among all of
// Amazon's endpoints, public, private and FIPS, which is why these are one home.
func (s *service) locate(base *string) error {
	s.home, s.http.Endpoint = "aws", "glacier."+s.region+".amazonaws.com"
	if base == nil {
		return nil
	}
	u, err := url.Parse(*base)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return &firn.Error{Op: "open", Subject: "the vault service", Kind: firn.Usage,
			Err: fmt.Errorf("the endpoint %s is not the address of a server", quote(*base)), Hint: "an address is like http://127.0.0.1:8080"}
	}
	if err := config.CheckHost(u.Hostname()); err != nil {
		return &firn.Error{Op: "open", Subject: "the vault service", Kind: firn.Usage, Err: err}
	}
	s.http.Endpoint = u.Host
	if !amazonHost(u.Hostname()) {
		s.home = strings.TrimSuffix(u.Scheme+"://"+u.Host+u.Path, "/")
	}
	return nil
}

func amazonHost(host string) bool {
	return slices.ContainsFunc([]string{".amazonaws.com", ".amazonaws.com.cn", ".api.aws"}, func(suffix string) bool {
		return strings.HasSuffix(host, suffix)
	})
}

// begin starts an exchange with the service.
func (s *service) begin(ctx context.Context, op, subject string) *exchange.Exchange {
	return s.http.Begin(ctx, op, subject)
}

// nowhere says what to do where the service's name isn't found in a region that it
// isn't known to exist in, or at a server that nobody has met.
func (s *service) nowhere(unmet bool) string {
	switch {
	case !s.knownRegion():
		return fmt.Sprintf("is there a region %s?", quote(s.region))
	case unmet && s.home == "aws":
		return exchange.Misnamed(s.region)
	case unmet:
		return exchange.Misnamed("")
	}
	return ""
}

// knownRegion reports whether the service is known to exist in the region. The
// list is used for a hint only. Source: the endpoint list of AWS SDK for Go
// v2, service/glacier v1.33.0; no region was added in years.
func (s *service) knownRegion() bool {
	return s.home != "aws" || slices.Contains([]string{
		"af-south-1", "ap-east-1", "ap-northeast-1", "ap-northeast-2", "ap-northeast-3", "ap-south-1",
		"ap-southeast-1", "ap-southeast-2", "ap-southeast-3", "ca-central-1", "cn-north-1", "cn-northwest-1",
		"eu-central-1", "eu-north-1", "eu-south-1", "eu-west-1", "eu-west-2", "eu-west-3", "me-south-1",
		"sa-east-1", "us-east-1", "us-east-2", "us-gov-east-1", "us-gov-west-1", "us-iso-east-1",
		"us-iso-west-1", "us-isob-east-1", "us-west-1", "us-west-2",
	}, s.region)
}
