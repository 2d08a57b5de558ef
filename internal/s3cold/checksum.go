package s3cold

import (
	"cmp"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// checksums are what an answer says that the server has computed of an object, each of
// an algorithm; nil where it says nothing.
type checksums struct{ sha256, crc64, sha1, crc32c, crc32 *string }

// putChecksums are those in the answer to an upload in a single request.
func putChecksums(answer http.Header) checksums {
	of := func(algorithm string) *string { return aws.String(answer.Get("X-Amz-Checksum-" + algorithm)) }
	return checksums{of("Sha256"), of("Crc64nvme"), of("Sha1"), of("Crc32c"), of("Crc32")}
}

// completeChecksums are those in the answer to the end of a multipart upload: of its
// parts' checksums, with a hyphen and their number.
func completeChecksums(o *sdk.CompleteMultipartUploadOutput) checksums {
	return checksums{o.ChecksumSHA256, o.ChecksumCRC64NVME, o.ChecksumSHA1, o.ChecksumCRC32C, o.ChecksumCRC32}
}

// text is the strongest of them as firn.Receipt has it; empty where there is none.
func (c checksums) text() string {
	of := func(algorithm types.ChecksumAlgorithm, value *string) string {
		if aws.ToString(value) == "" {
			return ""
		}
		return string(algorithm) + ":" + *value
	}
	return cmp.Or(of(types.ChecksumAlgorithmSha256, c.sha256), of(types.ChecksumAlgorithmCrc64nvme, c.crc64), of(types.ChecksumAlgorithmSha1, c.sha1),
		of(types.ChecksumAlgorithmCrc32c, c.crc32c), of(types.ChecksumAlgorithmCrc32, c.crc32))
}

// classIn is the class that the answer to a HEAD tells: of STANDARD Amazon says
// nothing; empty where another server doesn't. Source: Amazon S3 API reference,
// "HeadObject".
func (s *Store) classIn(head *sdk.HeadObjectOutput) string {
	if head.StorageClass == "" && s.home == amazon {
		return string(Standard)
	}
	return string(head.StorageClass)
}
