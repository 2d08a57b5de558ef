package cli

import "github.com/spf13/cobra"

func newArchiveCmd(a *app) *cobra.Command {
	return group("archive", "upload, list, retrieve and delete single archives",
		newArchiveUploadCmd(a, runArchiveUpload),
		newArchiveListCmd(a, runArchiveList),
		newArchiveShowCmd(a, runArchiveShow),
		newArchiveRetrieveCmd(a, runArchiveRetrieve),
		newArchiveDeleteCmd(a, runArchiveDelete),
	)
}
