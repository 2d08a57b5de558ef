package foreign

// LimitMembers lets a test see what happens to tars of very many members,
// without so many.
func (g *GlacierSync) LimitMembers(n int) { g.maxMembers = n }

// OpenCacheWaiting is OpenCache with another time to wait for who has it locked.
var OpenCacheWaiting = openCache
