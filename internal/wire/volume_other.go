//go:build !linux && !darwin && !windows

package wire

import "errors"

// volumeOf doesn't know this system.
func volumeOf(string) (volume, error) { return volume{}, errors.ErrUnsupported }
