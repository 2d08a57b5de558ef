package syncer

// Holding lets a guard hold back so many decisions; 0 is as many as ever.
func (o Options) Holding(n int) Options {
	o.held = n
	return o
}
