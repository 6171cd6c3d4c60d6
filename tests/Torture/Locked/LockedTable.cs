// SPDX-License-Identifier: GPL-2.0-only
using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using MemcgNative.Accounting;
using MemcgNative.Allocator;
using MemcgNative.Bench;
using MemcgNative.Native;

namespace MemcgNative.Tests.Torture;

/// <summary>Locked instructions of one word, per page.</summary>
/// <param name="Word">Which word.</param>
/// <param name="Linux">Where that kernel has it.</param>
/// <param name="Charge">Per page charged and committed.</param>
/// <param name="Uncharge">Per page uncharged, what becomes of its page_cgroup included.</param>
internal sealed record LockedRow(string Word, string Linux, double Charge, double Uncharge);

/// <summary>
/// Charge and uncharge of one page in every era, in steady state: 64 batches of 32 pages by one CPU in one group below the root, swap accounting as the
/// era has it. `torture locked` prints it; a test compares it with LOCKED.md.
/// </summary>
internal static unsafe class LockedTable
{
    private const int Batch = 32, Batches = 64;

    /// <summary>`torture locked`.</summary>
    public static int Show(TextWriter writer)
    {
        writer.Write(Print());
        return ExitCode.Success;
    }

    public static string Print()
    {
        var text = new StringBuilder("# Locked instructions per page\n\nCharge and commit, then uncharge, of one page in steady state, one CPU, one group below the root. "
            + "Counted while the code runs, by the word that is locked; each is one\ninstruction (tests/Unit/Golden). "
            + "Written by `MEMCGNATIVE_REGENERATE=1 ./build.sh test Torture`, "
            + "printed by `./build.sh torture locked`.\n");
        foreach (Era era in Eras.All)
        {
            LockedRow[] rows = [.. Matrix.Bind(Model.Parse(era.Name), new Counter(era))];
            text.Append(CultureInfo.InvariantCulture, $"\n## {era.Name}: {rows.Sum(r => r.Charge):0.###} + {rows.Sum(r => r.Uncharge):0.###}\n\n");
            text.Append("| word | charge | uncharge | in that kernel |\n|---|---|---|---|\n");
            foreach (LockedRow r in rows) text.Append(CultureInfo.InvariantCulture, $"| {r.Word} | {r.Charge:0.####} | {r.Uncharge:0.####} | {r.Linux} |\n");
        }
        return text.ToString();
    }

    private sealed class Counter(Era era) : IControllerUser<IReadOnlyList<LockedRow>>
    {
        public IReadOnlyList<LockedRow> Use<TC>() where TC : struct, IMemoryController
        {
            using var cpus = new PerCpu([(new CpuId(0), new NodeId(0))]);
            using var memory = new PhysicalMemory(new MemoryPlan([new(new(0), new(0), 4 * NodeSpec.Granule)]) { Watermarks = Watermarks.None }, new PlainMemory());
            memory.Attach(cpus.Table);
            using var source = new PlainMemory();
            var accounting = AccountingMemory.Build<TC>(memory, cpus, source, new AccountingPlan(MaxGroups: 4, SwapAccounting: era.Declares(CounterKind.Memsw)));
            ThisCpu cpu = cpus.Witness(0);
            Rcu.CpuOnline(cpu);
            Memcg* memcg = MemcgLife.Create<TC>(cpu, accounting.Root);
            Page** pages = stackalloc Page*[Batch];
            for (int i = 0; i < Batch; i++)
            {
                pages[i] = PageAllocator<NoHook>.Alloc(cpu, Gfp.Kernel);
                PageMapping.SetAnon(pages[i], null, i);
            }
            var words = new LockedWords(era, accounting, memory);
            Dictionary<string, double> charge = [], uncharge = [];
            for (int batch = -8; batch < Batches; batch++)
            {
                Measure(batch >= 0, charge, words, Charge<TC>, cpu, memcg, pages);
                Measure(batch >= 0, uncharge, words, Uncharge<TC>, cpu, memcg, pages);
            }
            for (int i = 0; i < Batch; i++)
            {
                AtomicInt.Store(&pages[i]->RefCount, 0);
                PageAllocator<NoHook>.Free(cpu, pages[i]);
            }
            MemcgLife.Remove(cpu, memcg);
            Rcu.CpuOffline(cpu);
            return [.. charge.Keys.Union(uncharge.Keys).Order(StringComparer.Ordinal).Select(word =>
                new LockedRow(word, LockedWords.Linux(word, era), charge.GetValueOrDefault(word) / (Batch * Batches), uncharge.GetValueOrDefault(word) / (Batch * Batches)))];
        }

        private delegate void Step(in ThisCpu cpu, Memcg* memcg, Page** pages);

        private static void Measure(bool counts, Dictionary<string, double> into, LockedWords words, Step step, in ThisCpu cpu, Memcg* memcg, Page** pages)
        {
            if (counts) LockedTally.Start();
            step(cpu, memcg, pages);
            Poll.Run(cpu);
            if (!counts) return;
            foreach (((nint word, string file), long n) in LockedTally.Stop())
            {
                string name = words.NameOf(word, file);
                into[name] = into.GetValueOrDefault(name) + n;
            }
        }

        private static void Charge<TC>(in ThisCpu cpu, Memcg* memcg, Page** pages) where TC : struct, IMemoryController
        {
            for (int i = 0; i < Batch; i++)
            {
                if (!Charging.TryCharge<TC>(cpu, memcg, 1, Gfp.Kernel)) Bug.Fail("locked: a charge was refused");
                Charging.Commit<TC>(cpu, pages[i], memcg, anon: true);
            }
        }

        private static void Uncharge<TC>(in ThisCpu cpu, Memcg* memcg, Page** pages) where TC : struct, IMemoryController
        {
            TC.OnBatchBegin(cpu);
            for (int i = 0; i < Batch; i++) TC.OnUnmap(cpu, pages[i]);
            TC.OnBatchEnd(cpu);
            TC.OnFinalPut(cpu, pages, Batch);
        }
    }
}

/// <summary>From an address to the word's name in the field.</summary>
internal sealed unsafe class LockedWords(Era era, AccountingMemory accounting, PhysicalMemory memory)
{
    private readonly int counterBytes = int.Parse(string.Concat(era.Answers[(int)Axis.Counter].Where(char.IsAsciiDigit)), CultureInfo.InvariantCulture);

    public string NameOf(nint word, string file)
    {
        nint root = (nint)accounting.Root;
        if (word >= root && word < root + accounting.Plan.MaxGroups * Memcg.Bytes) return OfGroup((int)((word - root) / Memcg.Bytes), (int)((word - root) % Memcg.Bytes), file);
        nint pages = (nint)MemMap.PageOf(&memory.State->Map, new Pfn(0));
        if (word >= pages && word < pages + memory.TotalPages * Page.Bytes)
            return ((word - pages) % Page.Bytes) switch { 56 => "page word", 8 => "page refcount", 0 => "page flags", _ => "page " + file };
        if (word >= (nint)accounting.Tree && word < (nint)accounting.Tree + MemcgTree.Bytes) return "soft-limit tree lock";
        return file switch
        {
            "TicketLock.cs" or "McsLock.cs" or "TestAndSetLock.cs" => "list lock",
            "BitSpinlock.cs" or "FlagArray.cs" => "page_cgroup flags",
            "LocklessRcu.cs" or "LocklessRcu.Sink.cs" or "PageCgroupObject.cs" => "page_cgroup object",
            "RcuCallbacks.cs" or "GracePeriod.cs" or "Doorbell.cs" or "RcuWait.cs" => "RCU",
            _ => file,
        };
    }

    private string OfGroup(int id, int offset, string file)
    {
        string whose = id == 0 ? "root" : "group";
        if (offset >= Memcg.CounterSlot && offset < Memcg.CounterSlot + Memcg.CounterSlotBytes)
            return $"{whose}'s {(CounterKind)((offset - Memcg.CounterSlot) / counterBytes)} counter".ToLowerInvariant();
        if (offset >= Memcg.ResidentsSlot && offset < Memcg.ResidentsSlot + Memcg.ResidentsSlotBytes) return $"{whose}'s css reference";
        return offset < Css.Bytes ? $"{whose}'s css" : $"{whose} {file}";
    }

    /// <summary>The function that has it in the era's kernel.</summary>
    public static string Linux(string word, Era era) => word switch
    {
        "page word" => "bit_spin_lock of lock_page_cgroup: test_and_set_bit, clear_bit",
        "page_cgroup flags" => "lock_page_cgroup, unlock_page_cgroup; SetPageCgroupUsed (2.6.29 assigns), ClearPageCgroupUsed",
        "page_cgroup object" => "SetPcgObsolete: test_and_set_bit",
        "list lock" => "mz->lru_lock around list_add, list_del",
        "soft-limit tree lock" => "mctz->lock once in 1024 events (2.6.31 on; here in every era)",
        "RCU" => "once a grace period; not in the kernel's path of a page",
        _ when word.EndsWith("css reference", StringComparison.Ordinal) => "css_get, css_put: one atomic a page",
        _ when word.EndsWith("'s css", StringComparison.Ordinal) => "css_get_many, css_put_many (percpu_ref)",
        _ when word.StartsWith("root's", StringComparison.Ordinal) && era.Answers[(int)Axis.Counter] == "ResCounter40" =>
            "none: no hierarchy before 2.6.29; here every design has it",
        _ when word.EndsWith("counter", StringComparison.Ordinal) => era.Answers[(int)Axis.Counter].StartsWith("Res", StringComparison.Ordinal)
            ? "spin_lock of res_counter_charge, res_counter_uncharge; a ticket lock's release is a plain store" : "atomic_long_add_return, atomic_long_sub_return of page_counter",
        _ => "",
    };
}
