package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/firn-archive/firn/bench/usage"
)

// results are what was measured, one usage a round.
type results struct {
	machine string
	size    int64 // of the large file, bytes
	hash    []usage.Usage
	sync    []usage.Usage

	tree         string
	files        int64
	first, again []usage.Usage
}

// write prints the table.
func (r *results) write(w io.Writer) error {
	hash, sync := usage.Median(r.hash), usage.Median(r.sync)
	first, again := usage.Median(r.first), usage.Median(r.again)
	mib := r.size >> 20
	rows := [][2]string{
		{"hashing twice, bare", fmt.Sprintf("%.2f CPU s/GiB", r.perGiB(hash))},
		{"`firn sync` to a server in another process", fmt.Sprintf("%.2f CPU s/GiB", r.perGiB(sync))},
		{"that is", fmt.Sprintf("%.2f × hashing twice", sync.CPU.Seconds()/hash.CPU.Seconds())},
		{fmt.Sprintf("elapsed, for one file of %d MiB", mib), fmt.Sprintf("%.1f s, %.0f MiB/s", sync.Wall.Seconds(), float64(mib)/sync.Wall.Seconds())},
		{"peak memory", sync.MemoryText()},
		{fmt.Sprintf("first sync of `%s`, %d files, to `local:`", r.tree, r.files), r.speed(first)},
		{"peak memory", first.MemoryText()},
		{"second sync, nothing changed", r.speed(again)},
	}
	var b strings.Builder
	fmt.Fprintf(&b, "On %s; medians of %d rounds.\n\n| what | measured |\n|---|---|\n", r.machine, len(r.sync))
	for _, row := range rows {
		fmt.Fprintf(&b, "| %s | %s |\n", row[0], row[1])
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// perGiB is the CPU seconds that a GiB took.
func (r *results) perGiB(u usage.Usage) float64 {
	return u.CPU.Seconds() / (float64(r.size) / (1 << 30))
}

// speed tells files per second, and what they took.
func (r *results) speed(u usage.Usage) string {
	return fmt.Sprintf("%.0f files/s, %.2f s, %.2f CPU s", float64(r.files)/u.Wall.Seconds(), u.Wall.Seconds(), u.CPU.Seconds())
}
