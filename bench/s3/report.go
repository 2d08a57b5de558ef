package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/firn-archive/firn/bench/usage"
)

// results are what was measured, one usage a round.
type results struct {
	options
	machine      string
	large, small []usage.Usage

	rcloneLarge, rcloneSmall []usage.Usage // none where it was not measured
}

// write prints the table.
func (r *results) write(w io.Writer) error {
	large, small := usage.Median(r.large), usage.Median(r.small)
	gib := float64(r.options.large) * largeBytes / (1 << 30)
	mib := float64(r.options.large) * largeBytes / (1 << 20)
	objects := float64(r.options.small)
	rows := [][2]string{
		{fmt.Sprintf("%d files of 1 MiB", r.options.large), fmt.Sprintf("%.2f CPU s/GiB", large.CPU.Seconds()/gib)},
		{"elapsed", fmt.Sprintf("%.1f s, %.0f MiB/s", large.Wall.Seconds(), mib/large.Wall.Seconds())},
		{"peak memory", large.MemoryText()},
		{fmt.Sprintf("%d files of 10 KiB, no bundles", r.options.small), fmt.Sprintf("%.0f objects/s", objects/small.Wall.Seconds())},
		{"processor", fmt.Sprintf("%.0f CPU µs an object", small.CPU.Seconds()*1e6/objects)},
		{"peak memory", small.MemoryText()},
	}
	if len(r.rcloneLarge) > 0 {
		large, small := usage.Median(r.rcloneLarge), usage.Median(r.rcloneSmall)
		rows = append(rows,
			[2]string{"the large files by rclone", fmt.Sprintf("%.2f CPU s/GiB, %.0f MiB/s, %s", large.CPU.Seconds()/gib, mib/large.Wall.Seconds(), large.MemoryText())},
			[2]string{"the small files by rclone", fmt.Sprintf("%.0f objects/s, %.0f CPU µs an object, %s", objects/small.Wall.Seconds(), small.CPU.Seconds()*1e6/objects, small.MemoryText())},
		)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "On %s; `firn sync --no-bundle` to versitygw, %d files at a time; medians of %d rounds.\n\n| what | measured |\n|---|---|\n", r.machine, r.concurrency, len(r.large))
	for _, row := range rows {
		fmt.Fprintf(&b, "| %s | %s |\n", row[0], row[1])
	}
	_, err := io.WriteString(w, b.String())
	return err
}
