package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/firn-archive/firn/bench/usage"
)

// A report is what was measured.
type report struct {
	options
	files, bytes int64
	rows         [][2]string
}

// add tells what something took that went over so many files.
func (r *report) add(what string, files int64, u usage.Usage) {
	took := fmt.Sprintf("%.0f files/s, %.2f s", float64(files)/u.Wall.Seconds(), u.Wall.Seconds())
	if u.CPU > 0 {
		took += fmt.Sprintf(", %.2f CPU s", u.CPU.Seconds())
	}
	if u.Memory > 0 {
		took += fmt.Sprintf(", %d MiB", u.Memory>>20)
	}
	r.rows = append(r.rows, [2]string{what, took})
}

// sent tells what a sync put into the store.
func (r *report) sent(what string, files, bytes int64, grown stock) {
	r.rows = append(r.rows, [2]string{what + ", sent", fmt.Sprintf("%d files with %d bytes, as %d archives with %d", files, bytes, grown.Archives, grown.Bytes)})
}

// write prints the table.
func (r *report) write(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%d files with %d bytes in %d folders", r.files, r.bytes, r.plan.Folders)
	if r.before > 0 {
		fmt.Fprintf(&b, ", %d others in the catalog", r.before)
	}
	if r.encrypted {
		b.WriteString(", encrypted")
	}
	b.WriteString(".\n\n| what | measured |\n|---|---|\n")
	for _, row := range r.rows {
		fmt.Fprintf(&b, "| %s | %s |\n", row[0], row[1])
	}
	_, err := io.WriteString(w, b.String())
	return err
}
