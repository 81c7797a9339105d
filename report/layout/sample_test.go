package layout_test

import (
	"time"

	"xtm/internal/cause"
	"xtm/internal/finding"
	"xtm/internal/opt"
	"xtm/internal/units"
	"xtm/report"
	"xtm/xen"
)

func kib(n int64) opt.Value[units.KiB] { return opt.Of(units.KiB(n)) }
func n(i int64) xen.Count              { return opt.Of(i) }
func total(i int64) report.Counter     { return report.Counter{Total: n(i)} }

func ratio(part, whole int64) report.Ratio {
	r := report.Ratio{Part: n(part), Whole: n(whole)}
	if whole > 0 {
		r.Value = opt.Of(float64(part) / float64(whole))
	}
	return r
}

func efficiency(part, whole int64) report.Efficiency {
	return report.Efficiency{Total: ratio(part, whole)}
}

func pool(id int, persistent bool, pages, puts, tries, gets, getTries int64) report.Pool {
	return report.Pool{
		ID: id, Persistent: persistent, Pages: n(pages), Peak: n(pages), Objects: n(2),
		Puts: efficiency(puts, tries), Gets: efficiency(gets, getTries), Refused: total(tries - puts),
	}
}

// load is the figures of a Xen 4.12.4 host with tmem and five guests under
// load.
func load() report.Report {
	begin := time.Date(2026, 11, 22, 13, 50, 1, 0, time.UTC)
	guest := func(id units.DomID, name string, st xen.State, current, limit, static int64) report.Domain {
		most := max(limit, static)
		return report.Domain{
			ID: opt.Of(id), Name: name, State: st, Type: "pv", PCI: opt.Of(0),
			UUID:    "00000000-0000-4000-8000-00000000000" + string(rune('0'+id)),
			Current: kib(current), Limit: kib(limit), StaticMax: kib(static), Target: kib(static), Maximum: kib(most),
			Reclaimed: kib(most - current), RoomForPuts: kib(limit - current), Uptime: opt.Of(130 * time.Second),
		}
	}
	client := func(e report.Ephemeral, p *report.Persistent, pools ...report.Pool) *report.Client {
		return &report.Client{Weight: n(0), Compress: n(0), Frozen: n(0), Ephemeral: &e, Persistent: p, Pools: pools}
	}
	blocked, none := xen.State{Blocked: true}, xen.State{}
	dom0 := report.Domain{
		ID: opt.Of[units.DomID](0), Name: "Domain-0", Dom0: true, State: xen.State{Running: true}, Current: kib(1042668),
		Limit: kib(1048576), StaticMax: kib(1048576), Target: kib(1048576), Maximum: kib(1048576),
		Reclaimed: kib(5908), RoomForPuts: kib(5908),
	}
	web := guest(1, "web1", none, 376892, 525312, 524288)
	web.PersistentMemory = kib(1048)
	web.Client = client(
		report.Ephemeral{
			Pools: n(2), Pages: n(97798), Peak: n(112640), HitRate: efficiency(30720, 169568), Puts: total(225275),
			LostOrFlushed: n(96757), DiskReadsAvoided: total(30720),
		},
		new(report.Persistent{
			Pools: n(1), Pages: n(262), Peak: n(8774), Acceptance: efficiency(8774, 8774), Refused: total(0),
			SwapWritesAvoided: total(8774), SwapReadsAvoided: total(8638),
		}),
		pool(0, false, 0, 0, 0, 0, 0), pool(1, true, 262, 8774, 8774, 8638, 8638), pool(2, false, 97798, 225275, 225275, 30720, 169568))
	db := guest(2, "db1", xen.State{Running: true}, 323448, 410624, 409600)
	db.PersistentMemory = kib(58144)
	db.Client = client(
		report.Ephemeral{
			Pools: n(2), Pages: n(0), Peak: n(0), HitRate: efficiency(0, 0), Puts: total(0), LostOrFlushed: n(0),
			DiskReadsAvoided: total(0),
		},
		new(report.Persistent{
			Pools: n(1), Pages: n(14536), Peak: n(15295), Acceptance: efficiency(57006, 71622), Refused: total(14616),
			SwapWritesAvoided: total(57006), SwapReadsAvoided: total(42574),
		}),
		pool(0, false, 0, 0, 0, 0, 0), pool(1, true, 14536, 57006, 71622, 42574, 42574))
	cache := guest(3, "cache1", none, 77864, 197632, 196608)
	cache.Client = client(report.Ephemeral{
		Pools: n(2), Pages: n(67427), Peak: n(103773), HitRate: efficiency(337920, 514080), Puts: total(514840),
		LostOrFlushed: n(109493), DiskReadsAvoided: total(337920),
	}, nil, pool(0, false, 0, 0, 0, 0, 0), pool(1, false, 67427, 514840, 514840, 337920, 514080))
	idle := guest(4, "idle1", blocked, 77864, 197632, 196608)
	idle.PersistentMemory = kib(0)
	idle.Client = client(
		report.Ephemeral{
			Pools: n(2), Pages: n(0), Peak: n(0), HitRate: efficiency(0, 0), Puts: total(0), LostOrFlushed: n(0),
			DiskReadsAvoided: total(0),
		},
		new(report.Persistent{
			Pools: n(1), Pages: n(0), Peak: n(0), Acceptance: efficiency(0, 0), Refused: total(0),
			SwapWritesAvoided: total(0), SwapReadsAvoided: total(0),
		}),
		pool(0, false, 0, 0, 0, 0, 0), pool(1, true, 0, 0, 0, 0, 0))
	return report.Report{
		Schema: report.Schema, Source: "xl", Recorded: "xen-4.12 t1-load", Begin: begin, End: begin.Add(15200 * time.Millisecond),
		Tmem: xen.TmemState{
			Answer:   xen.TmemOn,
			Evidence: `"tmem" stands on Xen's command line and 4 domains are clients (xl tmem-list -l -a)`,
		},
		Host: report.Host{
			Name: "xenhost", Version: xen.Version{Major: 4, Minor: 12, Extra: ".4"}, Release: "4.19.0-tmemlab",
			Total: kib(2751488), Free: kib(20480), Granularity: kib(1024), XensOwn: kib(39280), Dom0: kib(1042668),
			Guests: kib(987140), Persistent: kib(59192), Ephemeral: kib(660900), FreeList: kib(1020),
			GuestsMemory: kib(1669540), GuestsMaximum: kib(1463296), Overcommit: opt.Of(1463296.0 / 1669540.0),
			Shortfall: kib(0), Freeable: kib(661920), FreeableEstimate: true, Reclaimed: kib(476156),
			Evicted: total(42410), Relinquished: total(30950), LowMemory: total(0), FailedPages: total(14616),
			DiskReadsAvoided: total(368640), SwapWritesAvoided: total(65780), SwapReadsAvoided: total(51212),
		},
		Domains: []report.Domain{dom0, web, db, cache, idle, guest(5, "plain1", blocked, 131072, 132096, 131072)},
		Findings: []finding.Finding{
			{
				Check: "no-swap", Subject: "cache1", Verdict: finding.Warning,
				Seen:   "has 2 ephemeral pools and no persistent one, so no swap area is active in it; it gave up 119,768 KiB",
				Advice: "A guest without swap that shrinks itself fails to start programs (Cannot allocate memory). Give it a swap area of at least its maximum memory.",
				Evidence: []finding.Evidence{
					{Name: "ephemeral pools", Value: "2", Source: "P lines with PT:E"},
					{Name: "persistent pools", Value: "0", Source: "P lines with PT:P"},
				},
			},
			{
				Check: "puts-refused-at-maximum", Subject: "db1", Verdict: finding.Bad,
				Seen:     "14,616 of 71,622 puts were refused since its first tmem call (20.4 % went to its swap disk instead)",
				Advice:   "A put needs a page below the limit. Raise the limit; the domain takes memory only when it needs it:",
				Commands: []string{"xl mem-max 2 501m"},
				Evidence: []finding.Evidence{{Name: "puts refused", Value: "14616", Source: "px"}},
			},
			{
				Check: "takes-no-part", Subject: "plain1", Verdict: finding.Note,
				Seen:   "is no client of tmem and keeps 131,072 KiB of its 132,096 KiB",
				Advice: "Nothing of its memory is shared. With a kernel that has tmem it could take part.",
			},
		},
		Thresholds: report.Thresholds{{
			Check: "puts-refused-at-maximum", Limit: 0.01, Unit: "share of attempted puts", MinSample: 100,
			Meaning: "refused puts from this share on",
		}},
		Gaps: []xen.Gap{{
			What: "static maximum of Domain-0", Why: "run xl list -l 0: exit status 255: failed to find domain", Cause: cause.Failed,
			Advice: "none is needed: Dom0 has none.",
		}},
		Notes: []string{"Ec of the G line is 165,225, of the C lines together 165,225: they agree"},
	}
}

// interval is load with a second snapshot ten seconds before it.
func interval() report.Report {
	r := load()
	r.Recorded = ""
	r.Interval = opt.Of(10 * time.Second)
	rise := func(c *report.Counter, by int64) {
		c.Interval, c.PerSecond = n(by), opt.Of(float64(by)/10)
	}
	rise(&r.Host.Evicted, 3714)
	rise(&r.Host.DiskReadsAvoided, 24341)
	for i := range r.Domains {
		d := &r.Domains[i]
		if d.Client == nil {
			continue
		}
		if d.Name == "idle1" {
			d.Reset = report.ResetReborn
			continue
		}
		e := d.Ephemeral()
		rise(&e.DiskReadsAvoided, 24341)
		rise(&e.Puts, 30120)
		e.HitRate.Interval = new(ratio(24341, 30000))
		if p := d.Persistent(); p != nil {
			rise(&p.SwapWritesAvoided, 7996)
			rise(&p.SwapReadsAvoided, 8440)
			rise(&p.Refused, 1)
			p.Acceptance.Interval = new(ratio(7996, 7997))
		}
	}
	return r
}

// noTmem is a Xen 4.17 host, whose hypervisor has no tmem.
func noTmem() report.Report {
	guest := func(id units.DomID, name string, current int64) report.Domain {
		return report.Domain{
			ID: opt.Of(id), Name: name, State: xen.State{Blocked: true}, Current: kib(current), Limit: kib(4194304),
			Maximum: kib(4194304), Reclaimed: kib(4194304 - current), RoomForPuts: kib(4194304 - current), Target: kib(2097152),
		}
	}
	web := guest(1, "web1", 1191920)
	web.Guest = opt.Of(xen.GuestMemory{
		Total: kib(1150000), Available: kib(350300), Age: opt.Of(75 * time.Second), Path: "data/meminfo_free",
	})
	return report.Report{
		Schema: report.Schema, Source: "xl", Begin: time.Date(2026, 11, 22, 14, 2, 7, 0, time.UTC),
		End: time.Date(2026, 11, 22, 14, 2, 9, 0, time.UTC),
		Tmem: xen.TmemState{
			Answer: xen.TmemRemoved, Evidence: "Xen 4.17.7: tmem was removed in 4.13.0",
			Advice: "Memory and overcommit are reported all the same. For tmem, run Xen 4.12 or earlier with tmem on its command line.",
		},
		Host: report.Host{
			Name: "xenhost", Version: xen.Version{Major: 4, Minor: 17, Extra: ".7"}, Release: "4.19.0-tmemlab",
			Total: kib(16777216), Free: kib(4138812), Dom0: kib(10397272), Guests: kib(2015580), XensOwn: kib(225552),
			GuestsMemory: kib(6154392), GuestsMaximum: kib(8388608), Overcommit: opt.Of(8388608.0 / 6154392.0),
			Shortfall: kib(2234216), Reclaimed: kib(6373028),
		},
		Domains: []report.Domain{
			{
				ID: opt.Of[units.DomID](0), Name: "Domain-0", Dom0: true, State: xen.State{Running: true}, Current: kib(10397272),
				Unlimited: true,
			},
			web, guest(2, "db1", 823660),
		},
		Findings: []finding.Finding{}, Thresholds: report.Thresholds{},
		Gaps: []xen.Gap{{
			What: "tmem listing", Why: "Xen 4.17.7 has no tmem", Cause: cause.NotSupported,
		}},
	}
}

// hostile has names and texts that somebody chose to do harm.
func hostile() report.Report {
	r := noTmem()
	r.Host.Name = "host\x1b]0;owned\x07"
	names := []string{
		"\x1b[2J\x1b[31mred", "=cmd|' /C calc'!A0", "a|b`c`<script>alert(1)</script>", "http://evil.example/x?y",
		"safe\u202egnp.exe", "名前が長いドメインの名前が長い", "line\nbreak\ttab", "bad\xff\xfeutf8", "customer-production-web-0001", "customer-production-web-0002",
		"[click](javascript:x)", "www.evil.example", "zero\u200bwidth\U000e0041tag\u009b2J", "",
	}
	r.Domains = nil
	for i, name := range names {
		id := units.DomID(i)
		r.Domains = append(r.Domains, report.Domain{
			ID: opt.Of(id), Name: name, Dom0: i == 0, Current: kib(int64(i) * 1000000), Maximum: kib(16000000),
			Reclaimed: kib(16000000 - int64(i)*1000000),
			Guest:     opt.Of(xen.GuestMemory{Path: name, Available: kib(1)}),
		})
		r.Findings = append(r.Findings, finding.Finding{
			Check: "shrinks-without-pool", Subject: name, Verdict: finding.Dangerous, Seen: "has shrunk itself: " + name,
			Advice: "# Not a heading", Commands: []string{"xl mem-set '" + name + "' 100m", "echo ```"},
		})
	}
	r.Gaps = []xen.Gap{{What: "memory/target of " + names[0], Why: "read " + names[1], Cause: cause.Failed, Advice: names[2]}}
	r.Notes = []string{"1. " + names[3], "- " + names[4]}
	return r
}
