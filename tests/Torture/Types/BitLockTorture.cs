// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.InteropServices;
using MemcgNative.Native;

namespace MemcgNative.Tests.Torture;

/// <summary>
/// Two words that are a lock and data at once: some CPUs count in the data bits without the lock, others hold it. No count may be lost
/// on either side.
/// </summary>
internal sealed unsafe class BitLockTorture<TBit>(string? busted = null) : TortureType where TBit : struct, IBitLock
{
    private const int Words = 2, Unit = 1 << 16;
    private const int Acquired = 0, Tried = 1, TryFailed = 2, DataAdds = 3, Contended = 4;

    private AtomicLong* words;
    private Guarded<long>* under;
    private long[][] locked = [], added = [];

    public override string Name => busted ?? "locks." + TBit.Name;
    public override bool Busted => busted is not null;
    public override IReadOnlyList<string> Counters { get; } = ["acquire", "try", "try-failed", "data-add", "contended"];
    public override IReadOnlyList<int> BlindSpots { get; } = [Acquired, Tried, TryFailed, DataAdds, Contended];

    protected override void SetUp()
    {
        words = (AtomicLong*)NativeMemory.AlignedAlloc(1024, 256);
        NativeMemory.Clear(words, 1024);
        under = (Guarded<long>*)(words + 64);
        locked = [.. Enumerable.Range(0, Cpus.Count).Select(_ => new long[Words + 16])];
        added = [.. Enumerable.Range(0, Cpus.Count).Select(_ => new long[Words + 16])];
    }

    private AtomicLong* Word(int i) => words + i * 16;

    public override void Step(in ThisCpu cpu, Worker w)
    {
        int i = w.Random(Words);
        switch (w.Random(8))
        {
            case < 3:
                w.Did(DataAdds, i);
                AtomicLong.Add(Word(i), Unit);
                added[cpu.Index][i]++;
                break;
            case 3:
                w.Did(Tried, i);
                if (!TBit.TryAcquire(Word(i)))
                {
                    w.Hit(TryFailed);
                    break;
                }
                Section(cpu, w, i);
                break;
            default:
                w.Did(Acquired, i);
                if (TBit.IsHeld(Word(i))) w.Hit(Contended);
                TBit.Acquire(Word(i));
                Section(cpu, w, i);
                break;
        }
    }

    private void Section(in ThisCpu cpu, Worker w, int i)
    {
        long seen = Guarded<long>.Get(under + i);
        Thread.SpinWait(w.Random(w.OneIn(64) ? 200 : 4));
        if (!TBit.IsHeld(Word(i))) throw new TortureException($"{Name}: word {i} is free while cpu {cpu.Index} holds it");
        Guarded<long>.Set(under + i, seen + 1);
        locked[cpu.Index][i]++;
        TBit.Release(Word(i));
    }

    public override void Check(ICollection<string> wrong)
    {
        for (int i = 0; i < Words; i++)
        {
            long word = AtomicLong.Load(Word(i)), sections = locked.Sum(m => m[i]), adds = added.Sum(m => m[i]);
            if ((word & TBit.Mask) != 0) wrong.Add($"word {i} is locked, yet nobody runs");
            if (word / Unit != adds) wrong.Add($"word {i}: {adds} counted beside the lock, the word holds {word / Unit}");
            if (Guarded<long>.Get(under + i) != sections) wrong.Add($"word {i}: {sections} sections, counted {Guarded<long>.Get(under + i)}");
        }
    }

    public override void TearDown()
    {
        base.TearDown();
        NativeMemory.AlignedFree(words);
    }
}
