// Package glacier is the store that Amazon Glacier's vault API keeps: the REST
// service of 2012, or any server that speaks its protocol.
//
// It stands on the AWS SDK for the credential chain, signing and the wire, and
// takes over where the SDK would cost or hide something: bodies are sent with
// hashes that the caller knows already, so that the SDK reads each byte once;
// nothing is ever repeated, that is guard's work; and each failure is told
// apart into those that surely did not happen and those that may have.
package glacier

import (
	"context"
	"iter"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/glacier"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/clock"
	"github.com/firn-archive/firn/internal/config"
	"github.com/firn-archive/firn/internal/price"
)

// The limits of the service. Source: Amazon Glacier developer guide,
// "Quotas", "Uploading large archives in parts", "Uploading an archive in a
// single operation".
const (
	MaxSingle      = 4 << 30 // bytes in a single request
	MinPart        = 1 << 20 // bytes
	MaxPart        = 4 << 30 // bytes
	MaxParts       = 10_000
	MaxArchive     = MaxParts * MaxPart // bytes
	MaxDescription = 1024               // printable ASCII characters, of an archive or a job
	maxTagsPerCall = 10                 // API reference, "Add Tags To Vault"
)

// Config says which vault to open, and how to reach it.
type Config struct {
	// Vault is the vault's name. Vaults doesn't need it.
	Vault string
	// Region wins over what the environment and the AWS configuration say.
	Region string
	// Profile is a profile of the AWS configuration; empty for its default.
	Profile string
	// Endpoint is the base URL of the server, where it isn't the region's own
	// and AWS_ENDPOINT_URL doesn't say so.
	Endpoint string
	// Known is where the server was when it was seen last: it is asked there where
	// nothing else says a base URL. Empty: at the region's own.
	Known string
	// Unmet: nobody has had an answer of the server from this machine before. That
	// no host has its name is then an error of whoever named it, which no waiting mends.
	Unmet bool
	// Credentials, where given, stand in for the standard chain; then neither
	// the environment nor the AWS configuration is read at all.
	Credentials aws.CredentialsProvider
	// Transport, where given, carries the requests instead of the network.
	Transport http.RoundTripper
	// Label is what messages call the store; by default glacier:REGION/VAULT.
	Label string
	// Identify, where given, tells the identity of the vault that was just
	// described. By default it is made of the endpoint, ARN and creation date.
	Identify func(firn.StoreInfo) (string, error)
	// Now tells the server's clock, where the Date header of its answers does
	// not: a server in this process may live in a time of its own.
	Now func() time.Time
	// Clock is what gives up on a server that has gone silent; nil is the
	// machine's. It must really wait, since the network does.
	Clock clock.Clock
	// Stall is how long the server may be silent; 0: two minutes.
	Stall time.Duration
	// StrictDelete: an archive that was never in the vault can't be deleted, which
	// is NotFound. By default it is gone, and that is no error.
	StrictDelete bool
	// InProcess: Transport leads to a server in this process, whose failures
	// are faults of the disk that no patience mends.
	InProcess bool
	// FreshInventory and InstantJobs are the traits of the server; Amazon's
	// has neither.
	FreshInventory bool
	InstantJobs    bool
}

// StaticCredentials always gives one key pair. session is empty for the keys
// of a user.
func StaticCredentials(accessKey, secretKey, session string) aws.CredentialsProvider {
	keys := aws.Credentials{AccessKeyID: accessKey, SecretAccessKey: secretKey, SessionToken: session, Source: "static"}
	return aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return keys, nil })
}

// A Vault is one vault. It is a firn.Store, and safe for concurrent use.
type Vault struct {
	service
	name string
}

// Open gives the vault that cfg names. It reads the AWS configuration, but
// sends nothing yet: that the vault exists shows in Describe.
// Errors: Usage (no region, a name that no vault can have, unreadable or
// missing configuration).
func Open(ctx context.Context, cfg Config) (*Vault, error) {
	// Of dots alone it can't be: in the path of a URL they would mean something else.
	if !config.IsVault(cfg.Vault) || strings.Trim(cfg.Vault, ".") == "" {
		return nil, &firn.Error{Op: "open vault", Subject: quote(cfg.Vault), Kind: firn.Usage,
			Err:  errText("not a vault's name"),
			Hint: "a name has 1 to 255 of the characters a-z, A-Z, 0-9, '_', '-' and '.'"}
	}
	s, err := connect(ctx, cfg)
	if err != nil {
		return nil, err
	}
	if s.label = cfg.Label; s.label == "" {
		s.label = "glacier:" + s.region + "/" + cfg.Vault
	}
	return &Vault{service: *s, name: cfg.Vault}, nil
}

// Region is the region that the vault is in.
func (v *Vault) Region() string { return v.region }

// Close gives up the connections that wait for further requests.
func (v *Vault) Close() error {
	v.http.CloseIdle()
	return nil
}

// Traits are those of the service, and what Config says of the server.
func (v *Vault) Traits() firn.Traits {
	return firn.Traits{
		FreshInventory: v.cfg.FreshInventory,
		InstantJobs:    v.cfg.InstantJobs,
		MaxArchive:     MaxArchive,
		MaxSingle:      MaxSingle,
		MinPart:        MinPart,
		MaxPart:        MaxPart,
		MaxParts:       MaxParts,
		EmptyArchives:  false,
		MinDuration:    v.minDuration(),
		AnyPace:        v.home != "aws",
	}
}

// minDuration is for how long archives are charged at the least. A server in this
// process charges nothing.
func (v *Vault) minDuration() time.Duration {
	if v.cfg.InProcess {
		return 0
	}
	return price.VaultShortest
}

// Vaults lists all vaults of the account in cfg's region, by name. It ends
// with the first error.
func Vaults(ctx context.Context, cfg Config) iter.Seq2[firn.StoreInfo, error] {
	return func(yield func(firn.StoreInfo, error) bool) {
		s, err := connect(ctx, cfg)
		if err != nil {
			yield(firn.StoreInfo{}, err)
			return
		}
		defer s.http.CloseIdle()
		if s.label = cfg.Label; s.label == "" {
			s.label = "glacier:" + s.region
		}
		for info, err := range s.vaults(ctx) {
			if !yield(info, err) {
				return
			}
		}
	}
}

func (s *service) vaults(ctx context.Context) iter.Seq2[firn.StoreInfo, error] {
	return pages(func(marker *string) ([]firn.StoreInfo, *string, error) {
		infos, next, err := s.vaultPage(ctx, marker)
		if firn.KindOf(err) == firn.Skew { // the refusal told the client the service's time
			return s.vaultPage(ctx, marker)
		}
		return infos, next, err
	})
}

// vaultPage gives some vaults, and the marker of those that come next.
func (s *service) vaultPage(ctx context.Context, marker *string) ([]firn.StoreInfo, *string, error) {
	x := s.begin(ctx, "list vaults", "of "+s.label)
	out, err := s.client.ListVaults(x.Ctx, &sdk.ListVaultsInput{AccountId: ownAccount(), Marker: marker})
	if err := x.End(err); err != nil {
		return nil, nil, err
	}
	var infos []firn.StoreInfo
	for _, o := range out.VaultList {
		info, err := s.infoOf(x, sdk.DescribeVaultOutput{
			CreationDate: o.CreationDate, LastInventoryDate: o.LastInventoryDate,
			NumberOfArchives: o.NumberOfArchives, SizeInBytes: o.SizeInBytes,
			VaultARN: o.VaultARN, VaultName: o.VaultName, ResultMetadata: out.ResultMetadata,
		})
		if err != nil {
			return nil, nil, err
		}
		infos = append(infos, info)
	}
	return infos, out.Marker, nil
}
