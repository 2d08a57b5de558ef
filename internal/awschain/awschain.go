// Package awschain finds region, endpoint and credentials as AWS's own tools do,
// for every client of a service of Amazon's, and tells a failure to find
// credentials from all others.
package awschain

import (
	"context"
	"errors"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/smithy-go/logging"

	"github.com/firn-archive/firn"
)

// Load reads the standard chain: environment, shared configuration, SSO,
// container, instance role. It sends nothing. A region or a profile of the AWS
// configuration that is not empty wins over what the chain says.
// Errors: Usage (the configuration can't be read).
func Load(ctx context.Context, region, profile string) (aws.Config, error) {
	// The SDK would write warnings to stderr, past the display.
	with := []func(*config.LoadOptions) error{config.WithLogger(logging.Nop{})}
	if region != "" {
		with = append(with, config.WithRegion(region))
	}
	if profile != "" {
		with = append(with, config.WithSharedConfigProfile(profile))
	}
	settings, err := config.LoadDefaultConfig(ctx, with...)
	if err != nil {
		return settings, &firn.Error{Op: "read", Subject: "the AWS configuration", Kind: firn.Usage, Err: err,
			Hint: "see AWS_PROFILE, AWS_CONFIG_FILE and AWS_SHARED_CREDENTIALS_FILE"}
	}
	return settings, nil
}

// Tagged gives credentials whose failures are a CredentialsError. A nil provider
// fails always.
func Tagged(from aws.CredentialsProvider) aws.CredentialsProvider { return tagged{from} }

type tagged struct{ aws.CredentialsProvider }

func (t tagged) Retrieve(ctx context.Context) (aws.Credentials, error) {
	if t.CredentialsProvider == nil {
		return aws.Credentials{}, &CredentialsError{errors.New("none are configured")}
	}
	keys, err := t.CredentialsProvider.Retrieve(ctx)
	if err != nil {
		err = &CredentialsError{err}
	}
	return keys, err
}

// A CredentialsError says that no credentials were found.
type CredentialsError struct{ Err error }

// Error gives the reason.
func (e *CredentialsError) Error() string { return e.Err.Error() }

// Unwrap gives the reason.
func (e *CredentialsError) Unwrap() error { return e.Err }

// Missing gives why no credentials were found, where err is of that; else nil.
func Missing(err error) error {
	var e *CredentialsError
	if errors.As(err, &e) {
		return e.Err
	}
	return nil
}

// KeyID gives the id of the access key that the standard chain finds for a region.
// Errors: those of Load, Denied (there is none).
func KeyID(ctx context.Context, region string) (string, error) {
	settings, err := Load(ctx, region, "")
	if err != nil {
		return "", err
	}
	keys, err := Tagged(settings.Credentials).Retrieve(ctx)
	if err != nil {
		return "", &firn.Error{Op: "find", Subject: "credentials", Kind: firn.Denied, Err: errors.New("none are configured"),
			Hint: "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or write them to ~/.boto or ~/.aws/credentials"}
	}
	return keys.AccessKeyID, nil
}
