package programs

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
)

// TestFreePort: it can be listened at, and no system hands it out.
func TestFreePort(t *testing.T) {
	port, err := FreePort()
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:"+port)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if n, err := strconv.Atoi(port); err != nil || n < 1024 || n >= 32768 {
		t.Errorf("port %s", port)
	}
}

// TestAwait: any answer will do; where there is none it ends with the context.
func TestAwait(t *testing.T) {
	s := httptest.NewServer(http.NotFoundHandler())
	if err := Await(t.Context(), s.URL); err != nil {
		t.Error(err)
	}
	s.Close()
	ended := errors.New("it has ended")
	ctx, end := context.WithCancelCause(t.Context())
	end(ended)
	if err := Await(ctx, "http://127.0.0.1:1"); err != ended {
		t.Error(err)
	}
	if err := Await(t.Context(), "no URL:"); err == nil {
		t.Error("a bad URL answers")
	}
}
