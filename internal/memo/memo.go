// Package memo remembers what is made once and asked for again and again.
package memo

import "sync"

// A Memo makes a value for each key it is asked for, once as a rule, and keeps it
// for good: the keys must be few. The zero value is ready, and safe for concurrent
// use. Asking for what is there allocates nothing.
type Memo[K comparable, V any] struct {
	mu   sync.RWMutex
	made map[K]V
}

// Get gives the value of a key, from build at the first time. Two callers who are
// first may both make one; both get the same.
func (m *Memo[K, V]) Get(key K, build func(K) V) V {
	m.mu.RLock()
	v, ok := m.made[key]
	m.mu.RUnlock()
	if ok {
		return v
	}
	fresh := build(key)
	m.mu.Lock()
	defer m.mu.Unlock()
	if v, ok := m.made[key]; ok {
		return v
	}
	if m.made == nil {
		m.made = map[K]V{}
	}
	m.made[key] = fresh
	return fresh
}
