package mtglacier

// Commands gives the commands that may come next on a command line, for completion;
// nothing where there is one already.
func Commands(before []string) (names []string) {
	if len(before) > 0 {
		return nil
	}
	for _, u := range usages() {
		names = append(names, string(u.command))
	}
	return names
}
