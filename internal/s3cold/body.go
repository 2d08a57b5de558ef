package s3cold

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"strconv"
	"strings"

	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	sdk "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go/middleware"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/describe"
	"github.com/firn-archive/firn/treehash"
)

// payloadHashStep is the step of the SDK that would read and hash the whole
// body. It does nothing where the hash is known by then.
const payloadHashStep = "ComputePayloadHash"

// preset gives the SDK the plain SHA-256 of a body, so that it isn't read before
// it is sent. Together with ChecksumSHA256 in the operation's input the body is
// read once. Where an update of the SDK renames the step, every upload fails, and
// a test does.
func preset(sums treehash.Sums) func(*sdk.Options) {
	linear := hex.EncodeToString(sums.Linear[:])
	set := middleware.FinalizeMiddlewareFunc("firn:PresetPayloadHash",
		func(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (middleware.FinalizeOutput, middleware.Metadata, error) {
			return next.HandleFinalize(v4.SetPayloadHash(ctx, linear), in)
		})
	return sdk.WithAPIOptions(func(stack *middleware.Stack) error {
		return stack.Finalize.Insert(set, payloadHashStep, middleware.Before)
	})
}

// checksum is the x-amz-checksum-sha256 of a body.
func checksum(sums treehash.Sums) *string {
	s := base64.StdEncoding.EncodeToString(sums.Linear[:])
	return &s
}

// fresh gives the SDK a view of body that begins at its start and has a
// position of its own, so that the caller may send the same body again.
func fresh(body *io.SectionReader) io.ReadSeeker {
	return io.NewSectionReader(body, 0, body.Size())
}

// The metadata of an archive. Those of the second group are read by rclone.
// Source: rclone's documentation, "Amazon S3: Modification times and hashes",
// "The local filesystem: Metadata".
const (
	metaDescription = "firn-description"
	metaEncoded     = "firn-description-b64" // where a header can't hold it as it is
	metaTree        = "firn-tree"            // tree hash, hexadecimal
	metaUpload      = "firn-upload"          // of what came in parts: which upload it was

	metaTime = "mtime" // seconds since 1970, with a fraction
	metaMode = "mode"  // octal, with the type of file
)

// typeRegular is the type of a regular file in a POSIX mode. Source: stat(2).
const typeRegular = 0o100000

// metadata says of an archive what the store is told of it.
func metadata(description string) map[string]string {
	d := describe.Decode(description)
	return metadataOf(&d, description)
}

// metadataOf is metadata of a description that was read already.
func metadataOf(d *describe.Archive, description string) map[string]string {
	m := map[string]string{metaDescription: description}
	if strings.Trim(description, " ") != description || description == "" {
		m = map[string]string{metaEncoded: "b64:" + base64.RawURLEncoding.EncodeToString([]byte(description))}
	}
	if d.Format != describe.Firn || d.Kind != describe.File {
		return m
	}
	if t := d.ModTime; !t.IsZero() && t.Unix() >= 0 {
		m[metaTime] = fmt.Sprintf("%d.%09d", t.Unix(), t.Nanosecond())
	}
	if d.HasMode {
		m[metaMode] = strconv.FormatUint(uint64(typeRegular|firn.PosixMode(d.Mode)), 8)
	}
	return m
}

// descriptionOf reads the description from metadata.
func descriptionOf(m map[string]string) (description string, ok bool) {
	if encoded, ok := strings.CutPrefix(m[metaEncoded], "b64:"); ok {
		b, err := base64.RawURLEncoding.DecodeString(encoded)
		return string(b), err == nil
	}
	description, ok = m[metaDescription]
	return description, ok
}

// checkDescription says what is wrong with the description of an archive or a
// job, which travels in a header.
func checkDescription(s string) error {
	if len(s) > maxDescription {
		return fmt.Errorf("a description of %d characters: at most %d", len(s), maxDescription)
	}
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return fmt.Errorf("the description %.80q: only printable ASCII characters", s)
		}
	}
	return nil
}
