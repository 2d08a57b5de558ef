package catalog_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/firn-archive/firn"
	"github.com/firn-archive/firn/internal/catalog"
)

// aTask is a command whose texts hold what texts can.
func aTask() catalog.Task {
	return catalog.Task{
		Subject: "sync\x00local:/v\x00/\xff", Command: "sync", Stores: []string{"local:/v"},
		Args: []string{"sync", "", "it's \xff", "local:/v"}, Dir: "/home/\xff", Env: []string{"AWS_PROFILE=a=b", "EMPTY="},
	}
}

func TestTask(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	began := f.clock.Now().UTC()
	task := aTask()
	id, fresh, err := f.FindTask(ctx, task)
	if err != nil || !fresh {
		t.Fatal(fresh, err)
	}
	if again, fresh, err := f.FindTask(ctx, task); err != nil || again != id || fresh {
		t.Errorf("found again as %d, %v; was %d", again, err, id)
	}
	f.clock.Advance(time.Minute)
	task.ID = id
	if err := f.TakeTask(ctx, task); err != nil {
		t.Fatal(err)
	}
	want := task
	want.State, want.Started, want.Tried, want.Tries, want.Exit = catalog.TaskOpen, began, began.Add(time.Minute), 2, catalog.NoExit
	want.Next = time.Time{}
	f.wantTasks(t, want)

	if err := f.AddTaskStore(ctx, id, "local:/w"); err != nil {
		t.Fatal(err)
	}
	if err := f.AddTaskStore(ctx, id, "local:/v"); err != nil {
		t.Fatal(err)
	}
	want.Stores = []string{"local:/v", "local:/w"}
	want.Exit, want.Said, want.Next, want.Failures = 75, "later \uFFFD", began.Add(5*time.Hour).Truncate(time.Second), 2
	left := want
	left.Said = "later \xff"
	if err := f.LeaveTask(ctx, left); err != nil {
		t.Fatal(err)
	}
	f.wantTasks(t, want)

	// A newer command about the same takes its place; it began when the first did.
	newer := task
	newer.Args, newer.Dir, newer.Stores = []string{"sync", "--limit-upload", "1M"}, "/", []string{"local:/x"}
	if err := f.TakeTask(ctx, newer); err != nil {
		t.Fatal(err)
	}
	newer.State, newer.Started, newer.Tried, newer.Tries, newer.Exit = catalog.TaskOpen, began, f.clock.Now().UTC(), 3, catalog.NoExit
	f.wantTasks(t, newer)

	if err := f.EndTask(ctx, id); err != nil {
		t.Fatal(err)
	}
	f.wantTasks(t)
	if err := f.TakeTask(ctx, task); firn.KindOf(err) != firn.NotFound {
		t.Errorf("taken when it was done: %v", err)
	}
	if err := f.LeaveTask(ctx, task); err != nil {
		t.Errorf("left when it was done: %v", err)
	}
	f.wantTasks(t)
	if next, _, err := f.FindTask(ctx, task); err != nil || next == id {
		t.Errorf("the number %d came again: %v", next, err)
	}
}

func (f *fixture) wantTasks(t *testing.T, want ...catalog.Task) {
	t.Helper()
	got, err := f.Tasks(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestRetryTask: of two that go on with a task, one does.
func TestRetryTask(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	task := aTask()
	id, _, err := f.FindTask(ctx, task)
	if err != nil {
		t.Fatal(err)
	}
	task.ID, task.State = id, catalog.TaskGivenUp
	if err := f.LeaveTask(ctx, task); err != nil {
		t.Fatal(err)
	}
	if err := f.RetryTask(ctx, id, 1); err != nil {
		t.Error(err)
	}
	if err := f.RetryTask(ctx, id, 1); firn.KindOf(err) != firn.Conflict {
		t.Errorf("a second time: %v", err)
	}
	tasks, err := f.Tasks(ctx)
	if err != nil || len(tasks) != 1 || tasks[0].Tries != 2 || tasks[0].State != catalog.TaskOpen || tasks[0].Exit != catalog.NoExit {
		t.Errorf("got %+v, %v", tasks, err)
	}
	if err := f.DropTask(ctx, task.Subject); err != nil {
		t.Error(err)
	}
	if err := f.RetryTask(ctx, id, 2); firn.KindOf(err) != firn.NotFound {
		t.Errorf("dropped: %v", err)
	}
}

func TestTaskThatCannotBe(t *testing.T) {
	f := newFixture(t)
	task := aTask()
	task.Args = []string{"a\x00b"}
	if _, _, err := f.FindTask(t.Context(), task); firn.KindOf(err) != firn.Invalid {
		t.Errorf("an argument with a byte 0: %v", err)
	}
	if err := f.AddTaskStore(t.Context(), 7, "local:/v"); firn.KindOf(err) != firn.NotFound {
		t.Errorf("no task: %v", err)
	}
}
