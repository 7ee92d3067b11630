package main

import (
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strconv"
	"sync/atomic"
	"time"
)

// A program that starts makes much garbage while little of its heap lives, so Go collects often, and each time marks all
// that lives. On the way to a Ready node that is processor time for nothing: for a while, the heap may grow to a fixed size
// before it is collected. A heap that is larger, as in a big cluster, is collected as ever: at no time does this take more
// memory than that size on top of what the program would take anyway.
const startPeriod = 90 * time.Second

// startHeaps is that size by program; the API server allocates by far the most.
var startHeaps = map[string]uint64{"kube-apiserver": 192 << 20}

const otherStartHeap = 64 << 20

// collectLessAtStart returns at once.
func collectLessAtStart(program string) {
	heap, known := startHeaps[program]
	if !known {
		heap = otherStartHeap
	}
	collectLess(heap, startPeriod)
}

func collectLess(heap uint64, period time.Duration) {
	usual, ok := usualPercent()
	if !ok {
		return
	}
	var over atomic.Bool
	// Until the first collection nothing is known to live, and Go's smallest heap is 4 MiB at 100%.
	debug.SetGCPercent(int(heap / (4 << 20) * 100))
	afterEachCollection(func() bool {
		if over.Load() {
			return false
		}
		debug.SetGCPercent(percent(heap, liveBytes(), usual))
		return true
	})
	time.AfterFunc(period, func() {
		over.Store(true)
		debug.SetGCPercent(usual)
		// The memory goes back now, and not little by little.
		debug.FreeOSMemory()
	})
}

// usualPercent is what GOGC says; nothing when it turns collection off or makes no sense.
func usualPercent() (int, bool) {
	text, set := os.LookupEnv("GOGC")
	if !set || text == "" {
		return 100, true
	}
	value, err := strconv.Atoi(text)
	return value, err == nil && value > 0
}

// percent lets the heap grow to its size, or by the usual part of what lives when that is more.
func percent(heap, live uint64, usual int) int {
	if live == 0 || live >= heap {
		return usual
	}
	return int(min(max(uint64(usual), (heap-live)*100/live), math.MaxInt32))
}

func liveBytes() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(sample)
	if sample[0].Value.Kind() != metrics.KindUint64 {
		return 0
	}
	return sample[0].Value.Uint64()
}

// afterEachCollection calls again until it answers false. A finalizer runs after the collection that found its object
// unreachable.
func afterEachCollection(call func() bool) {
	type token struct{ _ *byte }
	var again func(*token)
	again = func(*token) {
		if call() {
			runtime.SetFinalizer(&token{new(byte)}, again)
		}
	}
	again(nil)
}
