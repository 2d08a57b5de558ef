package mtjournal_test

import (
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"

	"github.com/firn-archive/firn/mtjournal"
)

// tab writes tabs as ~ below, so that they can be seen.
var tab = strings.NewReplacer("~", "\t")

// One bad line doesn't keep the others from being read.
func ExampleRecords() {
	journal := tab.Replace(`1355666755 CREATED idOne 7 hash old.txt
B~1355666800~CREATED~idTwo~5~1355566755~hash~photos/a b.jpg
this is no record
B~1355666900~DELETED~idOne~old.txt
`)
	for r, err := range mtjournal.Records(strings.NewReader(journal)) {
		var bad *mtjournal.LineError
		switch {
		case errors.As(err, &bad):
			fmt.Println(bad) // and go on
		case err != nil:
			log.Fatal(err) // the journal can't be read on
		default:
			fmt.Println(r.Op, r.Archive, r.Path)
		}
	}
	// Output:
	// CREATED idOne old.txt
	// CREATED idTwo photos/a b.jpg
	// journal line 3 is no record of a journal: "this is no record"
	// DELETED idOne old.txt
}

// The state says which archives there are, and which of a name is the latest.
func ExampleLoad() {
	journal := tab.Replace(`B~1000~CREATED~idOne~7~500~hash~a.txt
B~2000~CREATED~idTwo~8~900~hash~a.txt
B~3000~CREATED~idThree~5~NONE~hash~b.txt
B~4000~DELETED~idThree~b.txt
`)
	state, err := mtjournal.Load(strings.NewReader(journal), func(bad *mtjournal.LineError) { fmt.Println(bad) })
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(state.Len(), "archives")
	for versions := range state.Files() {
		latest := versions[len(versions)-1]
		fmt.Println(latest.Path, latest.Archive, "and", len(versions)-1, "older")
	}
	// Output:
	// 2 archives
	// a.txt idTwo and 1 older
}

// Lines are on the disk when Append returns.
func ExampleOpenAppend() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "photos.journal")

	journal, err := mtjournal.OpenAppend(path)
	if err != nil {
		log.Fatal(err)
	}
	defer journal.Close()
	if journal.Torn != nil {
		fmt.Println("moved to", path+".torn:", journal.Torn)
	}
	err = journal.Append(mtjournal.Record{
		Op: mtjournal.Created, Time: 1355666755, Archive: "anArchive",
		Size: 7, MTime: 1355566755, HasMTime: true, Tree: "aHash", Path: "photos/a.jpg",
	})
	if err != nil {
		log.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%q\n", text)
	// Output:
	// "B\t1355666755\tCREATED\tanArchive\t7\t1355566755\taHash\tphotos/a.jpg\n"
}
