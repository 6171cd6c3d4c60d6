// SPDX-License-Identifier: GPL-2.0-only
namespace MemcgNative.Bench;

/// <summary>
/// Raw events of the whole machine become the events of the recorded groups. No allocation event says who pays, so it is the group of the
/// task that ran: known from the attach events and handed on by fork. What a page is for is known later: a page that comes on an LRU list is
/// a user's, one with __GFP_ACCOUNT the kernel's, all others nobody's. Frees may come from anybody; they are found by page and pointer.
/// </summary>
internal sealed class TraceBuilder(Func<string, int> indexOf, IReadOnlyDictionary<long, long> groupOfDirectory)
{
    private const ulong Account = 0x400000; // __GFP_ACCOUNT, bit 22 in include/linux/gfp_types.h (read for 6.1, 6.12 and 6.18)
    private const ulong Anonymous = 2; // PAGEMAP_ANONYMOUS of include/trace/events/pagemap.h
    private readonly int pageAlloc = indexOf("kmem/mm_page_alloc"), pageFree = indexOf("kmem/mm_page_free"), lru = indexOf("pagemap/mm_lru_insertion"),
        cacheAlloc = indexOf("kmem/kmem_cache_alloc"), cacheFree = indexOf("kmem/kmem_cache_free"), kmalloc = indexOf("kmem/kmalloc"),
        kfree = indexOf("kmem/kfree"), attach = indexOf("cgroup/cgroup_attach_task"), fork = indexOf("sched/sched_process_fork"),
        counted = indexOf("memcg/count_memcg_events"); // -1 where the kernel has no such event

    private readonly Dictionary<int, long> groupOfTask = [];
    private readonly Dictionary<ulong, int> pages = []; // pfn to index of its block in made
    private readonly Dictionary<ulong, int> objects = [];
    private readonly HashSet<ulong> strangers = []; // frames that others were seen to take
    private readonly List<Made> made = [];
    private readonly List<(int Made, long TimeNs, int Cpu, long First, long Count)> freed = [];

    private sealed class Made
    {
        public TraceKind Kind; // 0 while it is not known
        public int Cpu;
        public long TimeNs, Group, Amount;
        public ulong Pfn;
    }

    /// <summary>
    /// Pages that came on a list of ours and whose allocation was not seen; where the kernel says how many folios it charged to our groups (PGPGIN,
    /// vm_event_item 0), at least what is missing to that.
    /// </summary>
    public long Unattributed { get; private set; }

    /// <summary>Folios of users that the kernel says it charged to our groups; -1: it does not say.</summary>
    public long Charged { get; private set; } = -1;

    /// <summary>Events with an owner.</summary>
    public long Attributed { get; private set; }

    /// <summary>Without the checkpoints, in order of time.</summary>
    public List<TraceEvent> Build(IReadOnlyList<RawEvent> raw)
    {
        if (counted >= 0) Charged = 0;
        foreach (RawEvent e in raw) Take(e);
        var events = new List<TraceEvent>();
        var order = new List<(long Time, int Step, bool Make, int Index)>();
        for (int i = 0; i < made.Count; i++)
            if (made[i].Kind != 0) order.Add((made[i].TimeNs, i, true, i));
        for (int i = 0; i < freed.Count; i++)
            if (made[freed[i].Made].Kind != 0) order.Add((freed[i].TimeNs, freed[i].Made, false, i));
        var number = new Dictionary<int, long>();
        foreach ((long time, int _, bool make, int index) in order.OrderBy(o => o.Time).ThenBy(o => o.Make ? 0 : 1))
        {
            if (make)
            {
                Made m = made[index];
                number[index] = number.Count;
                events.Add(new TraceEvent(m.Kind, m.Cpu, time, m.Group, number[index], m.Amount));
            }
            else
            {
                (int of, long _, int cpu, long first, long count) = freed[index];
                events.Add(new TraceEvent(TraceKind.Free, cpu, time, Object: number[of], Amount: count, Second: first));
            }
        }
        Attributed = events.Count;
        if (Charged == 0) Charged = -1; // cgroup v2 without v1 in the kernel does not count it
        if (Charged > 0) Unattributed = Math.Max(Unattributed, Math.Abs(Charged - made.Count(m => m.Kind is TraceKind.Anon or TraceKind.File)));
        return events;
    }

    private void Take(in RawEvent e)
    {
        if (e.Format == counted && counted >= 0)
        {
            if (e.B == 0 && groupOfDirectory.ContainsKey((long)e.A)) Charged += (long)e.C; // PGPGIN
        }
        else if (e.Format == pageAlloc) TakePage(e);
        else if (e.Format == pageFree) FreePages(e);
        else if (e.Format == lru) Listed(e);
        else if (e.Format == cacheAlloc || e.Format == kmalloc) TakeObject(e);
        else if (e.Format == cacheFree || e.Format == kfree) FreeObject(e);
        else if (e.Format == attach)
        {
            if (groupOfDirectory.TryGetValue((long)e.A, out long group)) groupOfTask[(int)e.B] = group;
            else groupOfTask.Remove((int)e.B);
        }
        else if (e.Format == fork && groupOfTask.TryGetValue((int)e.A, out long inherited)) groupOfTask[(int)e.B] = inherited;
        else if (e.Format == fork) groupOfTask.Remove((int)e.B); // a pid that is used again
    }

    private void TakePage(in RawEvent e)
    {
        if (e.A == ulong.MaxValue || e.B > 10) return; // the allocation failed
        long count = 1L << (int)e.B;
        for (long i = 0; i < count; i++) pages.Remove(e.A + (ulong)i); // an older life of the frame whose end was not seen
        for (long i = 0; i < count; i++) strangers.Remove(e.A + (ulong)i);
        if (!groupOfTask.TryGetValue(e.Pid, out long group))
        {
            for (long i = 0; i < count; i++) strangers.Add(e.A + (ulong)i);
            return;
        }
        for (long i = 0; i < count; i++) pages[e.A + (ulong)i] = made.Count;
        made.Add(new Made { Kind = (e.C & Account) != 0 ? TraceKind.Kernel : 0, Cpu = e.Cpu, TimeNs = e.TimeNs, Group = group, Amount = count, Pfn = e.A });
    }

    /// <summary>A page of ours is a user's after all; a list of the group's owner is not in the event.</summary>
    private void Listed(in RawEvent e)
    {
        if (!pages.TryGetValue(e.A, out int index))
        {
            if (groupOfTask.ContainsKey(e.Pid) && !strangers.Contains(e.A)) Unattributed++;
            return;
        }
        Made m = made[index];
        m.Kind = (e.B & Anonymous) != 0 ? TraceKind.Anon : TraceKind.File;
    }

    private void FreePages(in RawEvent e)
    {
        if (e.B > 10) return;
        long count = 1L << (int)e.B;
        for (long i = 0; i < count;)
        {
            if (!pages.TryGetValue(e.A + (ulong)i, out int index))
            {
                i++;
                continue;
            }
            Made m = made[index];
            long first = (long)(e.A + (ulong)i - m.Pfn), run = Math.Min(count - i, m.Amount - first);
            for (long k = 0; k < run; k++) pages.Remove(e.A + (ulong)(i + k));
            freed.Add((index, e.TimeNs, e.Cpu, first, run));
            i += run;
        }
    }

    private void TakeObject(in RawEvent e)
    {
        objects.Remove(e.A);
        bool accounted = e.Format == cacheAlloc ? (e.C & 0xff) != 0 : (e.C & Account) != 0;
        if (e.A == 0 || !accounted || e.B is 0 or > 1 << 22 || !groupOfTask.TryGetValue(e.Pid, out long group)) return;
        if (e.Format == kmalloc && e.B > 8192) return; // whole pages: seen as such
        objects[e.A] = made.Count;
        made.Add(new Made { Kind = TraceKind.Slab, Cpu = e.Cpu, TimeNs = e.TimeNs, Group = group, Amount = (long)e.B });
    }

    private void FreeObject(in RawEvent e)
    {
        if (!objects.Remove(e.A, out int index)) return;
        freed.Add((index, e.TimeNs, e.Cpu, 0, 1));
    }
}
