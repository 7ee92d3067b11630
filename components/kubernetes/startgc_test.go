package main

import (
	"runtime"
	"testing"
	"time"
)

func TestAHeapGrowsToTheSizeOrAsEver(t *testing.T) {
	for _, c := range []struct {
		live uint64
		want int
	}{{0, 50}, {10 << 20, 900}, {50 << 20, 100}, {90 << 20, 50}, {100 << 20, 50}, {1 << 40, 50}} {
		if got := percent(100<<20, c.live, 50); got != c.want {
			t.Errorf("%d MiB live: %d, not %d", c.live>>20, got, c.want)
		}
	}
}

var sink [][]byte

// garbage makes 400 MiB of it while 8 MiB live, and tells how often the heap was collected.
func garbage() uint32 {
	var before, after runtime.MemStats
	sink = [][]byte{make([]byte, 8<<20)}
	runtime.ReadMemStats(&before)
	for range 100 << 10 {
		sink = append(sink[:1], make([]byte, 4<<10))
	}
	runtime.ReadMemStats(&after)
	return after.NumGC - before.NumGC
}

func TestWhatStartsIsCollectedLessAndThenAsEver(t *testing.T) {
	t.Setenv("GOGC", "50")
	collectLess(64<<20, 2*time.Second)
	start := garbage()
	time.Sleep(3 * time.Second)
	if later := garbage(); start*2 > later {
		t.Errorf("collected %d times at the start and %d times later", start, later)
	}
}
