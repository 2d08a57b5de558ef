package awschain

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// metadataServer is where a machine of EC2 asks what it is, in the form of IMDSv2.
// Source: Amazon EC2 user guide, "Use the Instance Metadata Service".
const metadataServer = "http://169.254.169.254"

// patience is how long the metadata service is waited for: it answers at once, and
// elsewhere nobody does.
const patience = time.Second

// maxMetadata bounds what is read of an answer, in bytes.
const maxMetadata = 1 << 10

// regionName is what can be a region: a portal that answers to everything doesn't.
var regionName = regexp.MustCompile(`^[a-z]{2,}(-[a-z]+)+-[0-9]+$`)

// Here gives the region of the machine that this runs on, by its own account; empty
// where it is none of Amazon's, or doesn't say. The variables of Amazon's tools switch
// that off, name another address, or another time to wait, in seconds:
// AWS_EC2_METADATA_DISABLED, AWS_EC2_METADATA_SERVICE_ENDPOINT and
// AWS_METADATA_SERVICE_TIMEOUT.
func Here(ctx context.Context, getenv func(string) string) string {
	if strings.EqualFold(getenv("AWS_EC2_METADATA_DISABLED"), "true") {
		return ""
	}
	server := metadataServer
	if other := getenv("AWS_EC2_METADATA_SERVICE_ENDPOINT"); other != "" {
		server = strings.TrimSuffix(other, "/")
	}
	wait := patience
	if seconds, err := strconv.Atoi(getenv("AWS_METADATA_SERVICE_TIMEOUT")); err == nil && seconds > 0 {
		wait = time.Duration(seconds) * time.Second
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	// No proxy: the address is that of the machine itself.
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	token, err := ask(ctx, client, http.MethodPut, server+"/latest/api/token", "X-Aws-Ec2-Metadata-Token-Ttl-Seconds", "60")
	if err != nil {
		return ""
	}
	region, err := ask(ctx, client, http.MethodGet, server+"/latest/meta-data/placement/region", "X-Aws-Ec2-Metadata-Token", token)
	if err != nil || !regionName.MatchString(region) {
		return ""
	}
	return region
}

// ask sends one request, and gives what it answers.
func ask(ctx context.Context, client *http.Client, method, url, header, value string) (string, error) {
	r, err := http.NewRequestWithContext(ctx, method, url, nil)
	if err != nil {
		return "", err
	}
	r.Header.Set(header, value)
	answer, err := client.Do(r)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return "", fmt.Errorf("status %d", answer.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxMetadata))
	return strings.TrimSpace(string(body)), err
}
