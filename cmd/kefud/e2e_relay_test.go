package main

import (
	"strings"
	"testing"

	"kefud/internal/redistest"
)

func TestRelayCarriesBothWays(t *testing.T) {
	t.Parallel()
	onStores(t, func(t *testing.T, redis *redistest.Server) {
		r := relaying(t, redis, nil)
		wang := r.bound("wang", "li")[0]
		c := r.somebody("shop")
		r.tap(c, "cs1")
		r.hears(c, "greeting 王小姐 of 售前")
		r.writes(c, "你好，有货吗")
		wang.reads("#1 售前 · 你好，有货吗")
		if told := wang.says("有的，您要几件？"); told != "" {
			t.Errorf("told %q, want nothing", told)
		}
		r.hears(c, "有的，您要几件？")
		r.writes(c, "两件")
		wang.reads("#1 售前 · 两件")
		if list := wang.says("列表"); !strings.Contains(list, "#1 售前") || !strings.Contains(list, "两件") {
			t.Errorf("列表: %q", list)
		}
		if told := wang.says("结束"); !strings.Contains(told, "#1") {
			t.Errorf("结束: %q", told)
		}
		r.hears(c, "closed")
		r.well()
	})
}
