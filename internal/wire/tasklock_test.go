package wire_test

import (
	"errors"
	"testing"

	"github.com/firn-archive/firn/internal/wire"
)

func TestTaskLock(t *testing.T) {
	env := environment(t)
	if wire.TaskRuns(env, 7) {
		t.Error("one that nobody ever locked runs")
	}
	l, err := wire.LockTask(env, 7, "restore")
	if err != nil {
		t.Fatal(err)
	}
	if !wire.TaskRuns(env, 7) || wire.TaskRuns(env, 8) {
		t.Error("it doesn't run, or its neighbour does")
	}
	if _, err := wire.LockTask(env, 7, "resume"); !wire.IsHeld(err) {
		t.Errorf("a second lock: %v", err)
	}
	if err := l.Unlock(); err != nil {
		t.Error(err)
	}
	if wire.TaskRuns(env, 7) {
		t.Error("it still runs")
	}
	if l, err = wire.LockTask(env, 7, "resume"); err != nil {
		t.Fatal(err)
	}
	if err := l.Remove(); err != nil {
		t.Error(err)
	}
	if wire.TaskRuns(env, 7) {
		t.Error("it runs though it is no more")
	}
	if wire.IsHeld(errors.New("locked by another process")) || wire.IsHeld(nil) {
		t.Error("any error is that of a lock")
	}
}
