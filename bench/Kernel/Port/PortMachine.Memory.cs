// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Accounting;
using MemcgNative.Allocator;
using MemcgNative.Native;

namespace MemcgNative.Bench;

/// <summary>What tasks allocate and give back.</summary>
internal sealed unsafe partial class PortMachine<TC>
{
    /// <summary>Entries each task's address space needs, found by running the script's maps and frees on paper.</summary>
    private static Dictionary<string, long> SpaceSizes(Script script)
    {
        var maps = new Dictionary<string, EntryMap>();
        var sizes = new Dictionary<string, long>();
        var where = new Dictionary<string, (EntryMap Map, string Task, long First)>();
        foreach (ScriptStep s in script.Steps)
        {
            if (s.Verb == Verb.Task) maps[s.Subject] = new EntryMap();
            if (s.Verb is Verb.Map or Verb.Anon)
            {
                EntryMap map = maps[s.Subject];
                where[s.Object] = (map, s.Subject, map.Take(s.Amount));
                sizes[s.Subject] = Math.Max(sizes.GetValueOrDefault(s.Subject), map.High);
            }
            if (s.Verb == Verb.Free && where.Remove(s.Subject, out var freed)) freed.Map.Give(freed.First);
            if (s.Verb != Verb.Exit) continue;
            foreach ((string region, _) in where.Where(w => w.Value.Task == s.Subject).ToArray()) where.Remove(region);
        }
        return sizes;
    }

    private void DoMemory(ScriptStep s)
    {
        if (s.Verb == Verb.Free)
        {
            FreeRegion(s.Subject);
            return;
        }
        PortTask task = s.Verb is Verb.Touch or Verb.Migrate ? regions.GetValueOrDefault(s.Subject)?.Task ?? tasks.Values.First() : tasks[s.Subject];
        if (!task.Alive) return; // killed before: what it would have done is not done
        task.End = "ok";
        payers.Add(task.Group);
        switch (s.Verb)
        {
            case Verb.Map or Verb.Anon:
                regions[s.Object] = new PortRegion(s.Verb, task) { First = entries[task.Name].Take(s.Amount), Count = s.Amount };
                if (s.Verb == Verb.Anon) Touch(regions[s.Object], s.Amount);
                break;
            case Verb.Touch:
                Touch(regions[s.Subject], s.Amount);
                break;
            case Verb.Shm or Verb.File:
                ReadFile(s, task);
                break;
            case Verb.Pipes:
                Kernel(s, task, s.Amount * s.Second, static (machine, cpu, memcg) => (nint)KmemObjects.AllocPages<TC>(machine.core.Cpu(cpu), default, (Memcg*)memcg));
                break;
            case Verb.Dentries:
                Kernel(s, task, s.Amount, static (machine, cpu, memcg) => (nint)KmemObjects.Alloc<TC>(machine.core.Cpu(cpu), machine.core.Dentries, (Memcg*)memcg));
                break;
            case Verb.Migrate:
                Migrate(regions[s.Subject], s.Amount);
                break;
            default:
                throw new ArgumentOutOfRangeException(nameof(s), s.Verb, "no verb of memory");
        }
    }

    private void Touch(PortRegion region, long pages)
    {
        PortTask task = region.Task;
        for (long end = Math.Min(region.Count, region.Touched + pages); region.Touched < end;)
        {
            FaultResult result = Mm.Fault<TC>(core.Cpu(task.Cpu), task.Space, region.First + region.Touched, write: true);
            if (result == FaultResult.Mapped) region.Touched++;
            else if (!Again(task, result)) return;
            if ((region.Touched & 31) == 0) Poll.Run(core.Cpu(task.Cpu));
        }
    }

    /// <summary>What a refused page means to the task: killed, or go on because another one was.</summary>
    private bool Again(PortTask task, FaultResult result)
    {
        if (result == FaultResult.NoMemory) Bug.Fail("scenario: the port's memory is too small");
        core.Settle(); // other CPUs return their stocks when they poll
        if (KillFor(task)) return true;
        return false;
    }

    private void ReadFile(ScriptStep s, PortTask task)
    {
        if (!spareFiles.TryPop(out nint file)) file = (nint)core.Map(FileSpace.Bytes);
        FileSpace.Init((FileSpace*)file);
        var region = new PortRegion(s.Verb, task) { File = (FileSpace*)file, Count = s.Amount };
        regions[s.Object] = region;
        while (region.Touched < s.Amount)
        {
            FaultResult result = MmFile.Read<TC>(core.Cpu(task.Cpu), task.Space, region.File, region.Touched, write: s.Verb == Verb.Shm, out Page* page);
            if (result == FaultResult.Mapped)
            {
                region.Touched++;
                if (s.Verb == Verb.Shm) region.Held.Add((nint)page); // without swap nobody can take a page of tmpfs away: its reference stays
                else Mm.Put<TC>(core.Cpu(task.Cpu), page);
            }
            else if (!Again(task, result)) return;
            if ((region.Touched & 31) == 0) Poll.Run(core.Cpu(task.Cpu));
        }
    }

    private void Kernel(ScriptStep s, PortTask task, long count, Func<PortMachine<TC>, int, nint, nint> alloc)
    {
        var region = new PortRegion(s.Verb, task);
        regions[s.Object] = region;
        for (long i = 0; i < count;)
        {
            nint made = alloc(this, task.Cpu, groups[task.Group]);
            if (made != 0)
            {
                region.Held.Add(made);
                i++;
                if ((i & 31) == 0) Poll.Run(core.Cpu(task.Cpu));
            }
            else if (!Again(task, FaultResult.OverLimit)) return;
        }
        core.Settle(); // a group's own caches are made by then
    }

    private void FreeRegion(string name)
    {
        if (!regions.Remove(name, out PortRegion? region)) return; // its task was killed
        freedSomething = true;
        ThisCpu cpu = core.Cpu(region.Task.Cpu);
        switch (region.Kind)
        {
            case Verb.Map or Verb.Anon:
                Mm.Unmap<TC>(in cpu, region.Task.Space, region.First, region.Count);
                entries[region.Task.Name].Give(region.First);
                break;
            case Verb.Shm or Verb.File:
                foreach (nint page in region.Held) Mm.Put<TC>(in cpu, (Page*)page);
                MmFile.Truncate<TC>(in cpu, region.File, 0, region.Count);
                spareFiles.Push((nint)region.File);
                break;
            case Verb.Pipes:
                foreach (nint page in region.Held) KmemObjects.FreePages<TC>(in cpu, (Page*)page, default);
                break;
            default:
                foreach (nint obj in region.Held) KmemObjects.Free<TC>(in cpu, (void*)obj);
                break;
        }
        core.Settle();
    }

    private void Migrate(PortRegion region, long node)
    {
        core.Quiet(); // pages in a vector are on no list and stay
        PortTask task = region.Task;
        Node* target = core.Memory.Node(new NodeId((int)node));
        for (long i = 0; i < region.Touched; i++)
        {
            Page* page = region.Kind == Verb.Shm ? (Page*)region.Held[(int)i] : Mm.Follow(core.Cpu(task.Cpu), task.Space, region.First + i);
            if (page == null) continue;
            if (region.Kind == Verb.Shm)
            {
                Mm.Put<TC>(core.Cpu(task.Cpu), page); // the reference that stands for "no swap" would keep it where it is
                page = PageCache.Find(core.Cpu(task.Cpu), region.File, i);
            }
            MigrateResult result = Migration.Migrate<TC>(core.Cpu(task.Cpu), page, target);
            Mm.Put<TC>(core.Cpu(task.Cpu), page);
            if (result != MigrateResult.Moved) task.End = "busy";
            if (region.Kind == Verb.Shm) region.Held[(int)i] = (nint)PageCache.Find(core.Cpu(task.Cpu), region.File, i);
        }
        core.Settle();
    }
}
