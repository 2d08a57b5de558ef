package mtglacier

// isNoFolder reports whether a path leads through something that is no folder: here
// that is told as something that doesn't exist.
func isNoFolder(error) bool { return false }
