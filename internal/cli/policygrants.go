package cli

import (
	"slices"
)

// A grant is what the credentials have to be allowed for some work: actions on a
// vault; on a bucket, and on the objects below the prefix of a store in it.
type grant struct {
	Vault, Bucket, Objects []string
}

// plus is both grants together.
func (g grant) plus(o grant) grant {
	join := func(a, b []string) []string {
		all := slices.Clone(a)
		for _, action := range b {
			if !slices.Contains(all, action) {
				all = append(all, action)
			}
		}
		return all
	}
	return grant{join(g.Vault, o.Vault), join(g.Bucket, o.Bucket), join(g.Objects, o.Objects)}
}

// A workGrant is a work with what it needs: the grants of both stores where it is
// about two.
type workGrant struct {
	Work    string // as it is given to firn policy
	Heading string // of docs/permissions.md
	What    string // the commands, for people
	On, To  grant
	Both    bool
}

// What each work needs at the least. docs/permissions.md says the same, which a test
// compares, and others try.
var (
	adding = grant{
		Vault: []string{
			"DescribeVault", "ListTagsForVault", "AddTagsToVault", "RemoveTagsFromVault",
			"UploadArchive", "InitiateMultipartUpload", "UploadMultipartPart",
			"CompleteMultipartUpload", "AbortMultipartUpload", "ListMultipartUploads", "ListParts",
			"InitiateJob", "ListJobs", "DescribeJob", "GetJobOutput",
		},
		Bucket:  []string{"ListBucket", "ListBucketMultipartUploads"},
		Objects: []string{"GetObject", "PutObject", "AbortMultipartUpload", "ListMultipartUploadParts"},
	}
	reading = grant{
		Vault:   []string{"DescribeVault", "ListTagsForVault", "InitiateJob", "ListJobs", "DescribeJob", "GetJobOutput"},
		Bucket:  []string{"ListBucket"},
		Objects: []string{"GetObject", "RestoreObject"},
	}
	comparing = grant{
		Vault:   []string{"DescribeVault", "ListMultipartUploads", "InitiateJob", "ListJobs", "DescribeJob", "GetJobOutput"},
		Bucket:  []string{"ListBucket", "ListBucketMultipartUploads"},
		Objects: []string{"GetObject"},
	}
	deleting = grant{
		Vault: []string{
			"DescribeVault", "ListTagsForVault", "AddTagsToVault", "RemoveTagsFromVault", "UploadArchive",
			"InitiateJob", "ListJobs", "DescribeJob", "GetJobOutput", "DeleteArchive", "DeleteVault",
		},
		Bucket:  []string{"ListBucket", "ListBucketMultipartUploads"},
		Objects: []string{"GetObject", "PutObject", "DeleteObject", "DeleteObjectVersion"},
	}
	uploading = grant{
		Vault:   []string{"DescribeVault", "ListTagsForVault", "ListMultipartUploads", "ListParts", "UploadMultipartPart", "CompleteMultipartUpload", "AbortMultipartUpload"},
		Bucket:  []string{"ListBucket", "ListBucketMultipartUploads"},
		Objects: []string{"GetObject", "PutObject", "AbortMultipartUpload", "ListMultipartUploadParts", "DeleteObject"},
	}
	// snapshotting keeps what the catalog knows in the store.
	snapshotting = grant{Vault: []string{"ListTagsForVault", "AddTagsToVault", "UploadArchive"}, Objects: []string{"PutObject"}}
	// clearing ends the uploads that are left in a store that is to go.
	clearing = grant{
		Vault:   []string{"ListMultipartUploads", "AbortMultipartUpload"},
		Bucket:  []string{"ListBucketMultipartUploads"},
		Objects: []string{"AbortMultipartUpload"},
	}
)

// workGrants are the works that firn policy knows.
func workGrants() []workGrant {
	return []workGrant{
		{Work: "sync", Heading: "Sync", What: "firn sync and firn archive upload", On: adding},
		{Work: "restore", Heading: "Restore and recover", What: "firn restore, recover, archive retrieve and job", On: reading},
		{Work: "verify", Heading: "Verify and refresh", What: "firn verify, store show and store refresh", On: comparing},
		{Work: "prune", Heading: "Delete", What: "firn prune, archive delete, store empty and store delete", On: deleting},
		{Work: "upload", Heading: "Uploads by hand", What: "firn upload", On: uploading},
		{Work: "migrate", Heading: "Migrate", What: "firn migrate", On: reading.plus(comparing).plus(snapshotting), To: adding, Both: true},
		{Work: "finish", Heading: "Finish a migration", What: "firn migrate --finish", On: deleting.plus(clearing), To: comparing, Both: true},
	}
}
