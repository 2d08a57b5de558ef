package ui

import (
	"math"
	"testing"
	"time"
)

func TestBytes(t *testing.T) {
	tests := []struct {
		n    int64
		want string
	}{
		{0, "0 B"},
		{1023, "1023 B"},
		{1024, "1.00 KiB"},
		{1536, "1.50 KiB"},
		{10230, "9.99 KiB"},
		{10240, "10.0 KiB"},
		{102399, "100 KiB"},
		{1<<20 - 1, "1.00 MiB"},
		{64 << 20, "64.0 MiB"},
		{4 << 30, "4.00 GiB"},
		{3 << 40, "3.00 TiB"},
		{math.MaxInt64, "8.00 EiB"},
		{-1536, "-1.50 KiB"},
		{math.MinInt64, "-8.00 EiB"},
	}
	for _, tt := range tests {
		if got := Bytes(tt.n); got != tt.want {
			t.Errorf("Bytes(%d) = %q, want %q", tt.n, got, tt.want)
		}
	}
}

func TestCount(t *testing.T) {
	tests := []struct {
		n    int64
		want string
	}{
		{0, "0"}, {999, "999"}, {1000, "1,000"}, {1234567, "1,234,567"},
		{-999, "-999"}, {-1000, "-1,000"}, {math.MaxInt64, "9,223,372,036,854,775,807"},
	}
	for _, tt := range tests {
		if got := Count(tt.n); got != tt.want {
			t.Errorf("Count(%d) = %q, want %q", tt.n, got, tt.want)
		}
	}
	if got := Files(1); got != "1 file" {
		t.Errorf("Files(1) = %q", got)
	}
	if got := Files(1200); got != "1,200 files" {
		t.Errorf("Files(1200) = %q", got)
	}
}

func TestDuration(t *testing.T) {
	tests := []struct {
		d    time.Duration
		want string
	}{
		{0, "0.0 s"},
		{440 * time.Millisecond, "0.4 s"},
		{9949 * time.Millisecond, "9.9 s"},
		{9951 * time.Millisecond, "10 s"},
		{59600 * time.Millisecond, "1 min"},
		{185 * time.Second, "3 min 5 s"},
		{4*time.Hour + 2*time.Minute + 40*time.Second, "4 h 2 min"},
		{24 * time.Hour, "1 day"},
		{51 * time.Hour, "2 days 3 h"},
		{-3 * time.Second, "-3.0 s"},
	}
	for _, tt := range tests {
		if got := Duration(tt.d); got != tt.want {
			t.Errorf("Duration(%v) = %q, want %q", tt.d, got, tt.want)
		}
	}
}

func TestRate(t *testing.T) {
	if got := Rate(5<<20, 2*time.Second); got != "2.50 MiB/s" {
		t.Errorf("got %q", got)
	}
	if got := Rate(5, 0); got != "" {
		t.Errorf("without time: got %q", got)
	}
}

func TestTime(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 999, time.FixedZone("east", 3600))
	if got := Time(at); got != "2026-01-02T02:04:05Z" {
		t.Errorf("got %q", got)
	}
	if got := Time(time.Time{}); got != "-" {
		t.Errorf("zero: got %q", got)
	}
}
