package byhand

import (
	_ "embed"
	"strings"
	"text/template"
	"time"

	"github.com/firn-archive/firn"
)

//go:embed restore.txt
var restoreText string

// A Guide is what RESTORE.txt is about.
type Guide struct {
	Place  firn.Place
	Folder string    // of the list, below Place.Companions
	Made   time.Time // when the list was
	Host   string    // whose it is; not told where it is sealed
	Sealed bool      // the list is, and so are archives
}

// Text is what RESTORE.txt says.
func (g Guide) Text() (string, error) {
	t, err := template.New(TextName).Parse(restoreText)
	if err != nil {
		return "", err
	}
	store := "s3://" + g.Place.Bucket + "/" + g.Place.Prefix
	lists := store + g.Place.Companions
	var b strings.Builder
	err = t.Execute(&b, map[string]any{
		"Bucket": g.Place.Bucket, "Prefix": g.Place.Prefix, "BucketWord": word(g.Place.Bucket), "AWS": g.aws(),
		"StoreURL": word(store), "ListsURL": word(lists), "FolderURL": word(lists + g.Folder + "/"),
		"Made": g.Made.UTC().Format("2006-01-02 at 15:04 UTC"), "Host": g.host(), "Sealed": g.Sealed, "Unpack": g.unpack(),
	})
	return b.String(), err
}

// aws is the command that finds the server.
func (g Guide) aws() string {
	command := "aws --region " + word(g.Place.Region)
	if g.Place.Endpoint != "" {
		command += " --endpoint-url " + word(g.Place.Endpoint)
	}
	return command
}

// host is the machine's name, on one line in any case.
func (g Guide) host() string {
	if g.Sealed {
		return ""
	}
	return string(appendEscaped(nil, g.Host))
}

// unpack makes the list readable.
func (g Guide) unpack() string {
	if g.Sealed {
		return "age --decrypt --identity identity.txt " + SealedName + " | gunzip >files.csv"
	}
	return "gunzip -c " + ListName + " >files.csv"
}

// word is a text as one word of a shell, which takes it as it is.
func word(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
