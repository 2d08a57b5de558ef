package wire

import (
	"fmt"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/config"
)

// A volume is a file system, as far as it matters for what must last.
type volume struct {
	total, free uint64 // bytes; free for this user
	memory      bool   // gone at the next start of the machine
}

// What the folder of the catalog should have at least: a catalog of a million
// files takes some hundred MiB, and its temporary files as much again.
const (
	smallVolume = 2 << 30 // bytes in all
	littleFree  = 1 << 30 // bytes
)

// CheckDataDir warns where the folder of what must last, which exists, is on a
// file system that is small, nearly full, or in memory.
func CheckDataDir(env Env) error {
	dir, err := config.DataDir(env.Getenv)
	if err != nil {
		return err
	}
	v, err := volumeOf(dir)
	if err != nil {
		return nil // nothing is known; a disk that is full will say so itself
	}
	if text := v.warning(dir); text != "" {
		env.Events(firn.NoticeEvent{Text: text, Warn: true})
	}
	return nil
}

// warning says what is wrong with a volume that dir is on; empty for nothing.
func (v volume) warning(dir string) string {
	const advice = "name another folder with --state DIR or " + config.HomeVar
	switch {
	case v.memory:
		return fmt.Sprintf("the catalog is in %s, which is memory: it is lost when the machine starts anew, and then everything is sent again; %s", dir, advice)
	case v.free < littleFree:
		return fmt.Sprintf("the catalog is in %s, where only %d MiB are free, and it needs some space for each file; %s", dir, v.free>>20, advice)
	case v.total < smallVolume:
		return fmt.Sprintf("the catalog is in %s, on a file system of only %d MiB, and it needs some space for each file; %s", dir, v.total>>20, advice)
	}
	return ""
}
