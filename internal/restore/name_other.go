//go:build !linux

package restore

import "errors"

// giveName gives what is at tmp its name, if that is free.
func giveName(d *dir, tmp, name string) error { return linkName(d.Root, tmp, name) }

// swapNames is for systems that can.
func swapNames(*dir, string, string) error { return errors.ErrUnsupported }
