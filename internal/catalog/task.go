package catalog

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/firn-archive/firn"
)

// A TaskState says what is to become of a task.
type TaskState uint8

// The states of a task. One that is done is no more.
const (
	TaskOpen    TaskState = 1
	TaskGivenUp TaskState = 2 // it failed too often
)

// NoExit is the Exit of a task that goes on, or was killed.
const NoExit = -1

// A Task is a command that is not done. The catalog keeps it, one for each
// subject, and knows nothing of what it does.
type Task struct {
	ID int64 // no other task ever has it
	// Subject tells what the command is about, in any bytes: a newer one with the
	// same subject takes the place of an older one.
	Subject string
	Command string   // "sync"
	Stores  []string // by their names, as in Store.URL
	Args    []string // behind the program's name, as typed
	Dir     string   // the folder that it was called in
	Env     []string // NAME=value, what it takes from the environment; no secrets
	State   TaskState
	Started time.Time // by the local clock, as the following two
	Tried   time.Time // the last time
	Next    time.Time // worth trying from then on; zero: nobody knows
	Tries   int
	// Failures are those of firn resume, in a row.
	Failures int
	Exit     int    // status that the last try ended with, or NoExit
	Said     string // what it ended with, for people
}

const taskColumns = `id, subject, command, stores, args, dir, env, state, started, started_ns, tried, tried_ns,
	tries, failures, coalesce(exit, -1), said, coalesce(next, -62135596800)`

func scanTask(row interface{ Scan(...any) error }) (t Task, err error) {
	var stores, args, env []byte
	var started, startedNs, tried, triedNs, next int64
	err = row.Scan(&t.ID, &t.Subject, &t.Command, &stores, &args, &t.Dir, &env, &t.State, &started, &startedNs, &tried, &triedNs,
		&t.Tries, &t.Failures, &t.Exit, &t.Said, &next)
	t.Started, t.Tried, t.Next = at(started, startedNs), at(tried, triedNs), at(next, 0)
	t.Stores, t.Args, t.Env = splitTexts(stores), splitTexts(args), splitTexts(env)
	return t, err
}

// joinTexts ends each text with a byte 0, which none has in it.
func joinTexts(texts []string) []byte {
	joined := []byte{}
	for _, text := range texts {
		joined = append(append(joined, text...), 0)
	}
	return joined
}

// splitTexts undoes joinTexts.
func splitTexts(joined []byte) (texts []string) {
	for text := range bytes.SplitAfterSeq(joined, []byte{0}) {
		if text, whole := bytes.CutSuffix(text, []byte{0}); whole {
			texts = append(texts, string(text))
		}
	}
	return texts
}

// check finds what can't be kept: no command line and no environment has it.
func (t *Task) check() error {
	hasZero := func(text string) bool { return strings.Contains(text, "\x00") }
	if slices.ContainsFunc(slices.Concat(t.Stores, t.Args, t.Env), hasZero) {
		return &firn.Error{Op: "record task", Subject: t.Command, Kind: firn.Invalid, Err: errors.New("a text has a byte 0")}
	}
	return nil
}

// FindTask gives the ID of the task with the subject of t. Where there is none it
// records t as one that begins now: then it is fresh. Of t it takes what says what
// the command is. A task that isn't fresh is taken over with TakeTask.
// Errors: Invalid (a text that no command line and no environment has).
func (c *Catalog) FindTask(ctx context.Context, t Task) (id int64, fresh bool, err error) {
	if err := t.check(); err != nil {
		return 0, false, err
	}
	err = c.write(ctx, "record task", t.Command, func(tx tx) error {
		err := tx.row("SELECT id FROM task WHERE subject = ?", []byte(t.Subject)).Scan(&id)
		if !isNoRows(err) {
			return err
		}
		sec, nsec := instant(c.clock.Now())
		id, err = tx.insert(`INSERT INTO task (subject, command, stores, args, dir, env, state, started, started_ns, tried, tried_ns, tries)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1)`, []byte(t.Subject), t.Command, joinTexts(t.Stores), joinTexts(t.Args), []byte(t.Dir), joinTexts(t.Env),
			TaskOpen, sec, nsec, sec, nsec)
		fresh = true
		return err
	})
	return id, fresh && err == nil, err
}

// TakeTask records that the command t begins, as the task with its ID, whose lock
// the caller has: an older command gives way. Errors: NotFound (it was done
// meanwhile), Invalid.
func (c *Catalog) TakeTask(ctx context.Context, t Task) error {
	if err := t.check(); err != nil {
		return err
	}
	return c.write(ctx, "record task", t.Command, func(tx tx) error {
		sec, nsec := instant(c.clock.Now())
		err := tx.row(`UPDATE task SET command = ?, stores = ?, args = ?, dir = ?, env = ?, state = ?,
			tried = ?, tried_ns = ?, tries = tries + 1, failures = 0, exit = NULL, said = '', next = NULL WHERE id = ? RETURNING id`,
			t.Command, joinTexts(t.Stores), joinTexts(t.Args), []byte(t.Dir), joinTexts(t.Env), TaskOpen, sec, nsec, t.ID).Scan(&t.ID)
		return notThere(err, "record task", fmt.Sprint(t.ID), "there is no such task")
	})
}

// AgreeTask records the arguments of a task anew, to which a user's yes was added.
func (c *Catalog) AgreeTask(ctx context.Context, t Task) error {
	return c.write(ctx, "record task", fmt.Sprint(t.ID), func(tx tx) error {
		return tx.exec("UPDATE task SET args = ? WHERE id = ?", joinTexts(t.Args), t.ID)
	})
}

// RetryTask records that a task, whose lock the caller has, is tried again.
// Errors: NotFound (it was done meanwhile), Conflict (somebody tried it since it
// was the tries-th time).
func (c *Catalog) RetryTask(ctx context.Context, id int64, tries int) error {
	return c.write(ctx, "record task", fmt.Sprint(id), func(tx tx) error {
		var now int
		err := tx.row("SELECT tries FROM task WHERE id = ?", id).Scan(&now)
		if err != nil {
			return notThere(err, "record task", fmt.Sprint(id), "there is no such task")
		}
		if now != tries {
			return &firn.Error{Op: "record task", Subject: fmt.Sprint(id), Kind: firn.Conflict, Err: errors.New("another process tried it meanwhile")}
		}
		sec, nsec := instant(c.clock.Now())
		return tx.exec("UPDATE task SET tries = tries + 1, tried = ?, tried_ns = ?, exit = NULL, state = ? WHERE id = ?", sec, nsec, TaskOpen, id)
	})
}

// AddTaskStore notes that a task is about one more store. Errors: NotFound.
func (c *Catalog) AddTaskStore(ctx context.Context, id int64, url string) error {
	return c.write(ctx, "record task", fmt.Sprint(id), func(tx tx) error {
		t, err := scanTask(tx.row("SELECT "+taskColumns+" FROM task WHERE id = ?", id))
		if err != nil || slices.Contains(t.Stores, url) {
			return notThere(err, "record task", fmt.Sprint(id), "there is no such task")
		}
		return tx.exec("UPDATE task SET stores = ? WHERE id = ?", joinTexts(append(t.Stores, url)), id)
	})
}

// LeaveTask records how a try of a task ended that is to be tried again, or is
// given up: State, Exit, Said, Next and Failures of t. One that is no more is
// left so.
func (c *Catalog) LeaveTask(ctx context.Context, t Task) error {
	var next any
	if !t.Next.IsZero() {
		next = t.Next.Unix()
	}
	return c.write(ctx, "record task", fmt.Sprint(t.ID), func(tx tx) error {
		return tx.exec("UPDATE task SET state = ?, exit = ?, said = ?, next = ?, failures = ? WHERE id = ?", t.State, t.Exit, words(t.Said), next, t.Failures, t.ID)
	})
}

// EndTask records that a task is done: there is none any more.
func (c *Catalog) EndTask(ctx context.Context, id int64) error {
	return c.write(ctx, "record task", fmt.Sprint(id), func(tx tx) error {
		return tx.exec("DELETE FROM task WHERE id = ?", id)
	})
}

// DropTask lets the task with a subject go, if there is one: what it was about is
// not wanted any more.
func (c *Catalog) DropTask(ctx context.Context, subject string) error {
	return c.write(ctx, "drop task", "", func(tx tx) error {
		return tx.exec("DELETE FROM task WHERE subject = ?", []byte(subject))
	})
}

// Tasks lists the tasks that are not done, those given up too, oldest first.
func (c *Catalog) Tasks(ctx context.Context) (tasks []Task, err error) {
	err = c.read(ctx, "list tasks", "", func(tx tx) error {
		return tx.each(func(rows *sql.Rows) error {
			t, err := scanTask(rows)
			tasks = append(tasks, t)
			return err
		}, "SELECT "+taskColumns+" FROM task ORDER BY id")
	})
	return tasks, err
}
