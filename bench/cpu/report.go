package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// results are what was measured, one usage a round.
type results struct {
	machine string
	size    int64 // of the large file, bytes
	hash    []usage
	sync    []usage

	tree         string
	files        int64
	first, again []usage
}

// write prints the table.
func (r *results) write(w io.Writer) error {
	hash, sync := median(r.hash), median(r.sync)
	first, again := median(r.first), median(r.again)
	mib := r.size >> 20
	rows := [][2]string{
		{"hashing twice, bare", fmt.Sprintf("%.2f CPU s/GiB", r.perGiB(hash))},
		{"`firn sync` to a server in another process", fmt.Sprintf("%.2f CPU s/GiB", r.perGiB(sync))},
		{"that is", fmt.Sprintf("%.2f × hashing twice", sync.cpu.Seconds()/hash.cpu.Seconds())},
		{fmt.Sprintf("elapsed, for one file of %d MiB", mib), fmt.Sprintf("%.1f s, %.0f MiB/s", sync.wall.Seconds(), float64(mib)/sync.wall.Seconds())},
		{"peak memory", memory(sync)},
		{fmt.Sprintf("first sync of `%s`, %d files, to `local:`", r.tree, r.files), r.speed(first)},
		{"peak memory", memory(first)},
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
func (r *results) perGiB(u usage) float64 {
	return u.cpu.Seconds() / (float64(r.size) / (1 << 30))
}

// speed tells files per second, and what they took.
func (r *results) speed(u usage) string {
	return fmt.Sprintf("%.0f files/s, %.2f s, %.2f CPU s", float64(r.files)/u.wall.Seconds(), u.wall.Seconds(), u.cpu.Seconds())
}

func memory(u usage) string {
	if u.memory == 0 {
		return "unknown"
	}
	return fmt.Sprintf("%d MiB", u.memory>>20)
}

// median gives the median of each figure, of an odd number the middle one, of
// an even the lower.
func median(all []usage) usage {
	return usage{
		cpu:    middle(all, func(u usage) time.Duration { return u.cpu }),
		wall:   middle(all, func(u usage) time.Duration { return u.wall }),
		memory: middle(all, func(u usage) int64 { return u.memory }),
	}
}

func middle[T cmp.Ordered](all []usage, figure func(usage) T) T {
	var figures []T
	for _, u := range all {
		figures = append(figures, figure(u))
	}
	slices.Sort(figures)
	return figures[(len(figures)-1)/2]
}
