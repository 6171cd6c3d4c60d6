// SPDX-License-Identifier: GPL-2.0-only
using System.Diagnostics;
using System.Runtime.InteropServices;
using MemcgNative.Native;
using Xunit;

namespace MemcgNative.Tests.Unit;

/// <summary>Readers follow one pointer while a writer replaces what it points to and poisons the old object when its callback comes.</summary>
public unsafe class RcuStress
{
    private const int Objects = 64;

    private enum Way { Callback, Synchronize, Busted }

    [StructLayout(LayoutKind.Explicit, Size = 128)]
    private struct Object
    {
        [FieldOffset(0)] public RcuHead Head;
        [FieldOffset(16)] public Guarded<nint> Play;
        [FieldOffset(64)] public AtomicLong Poison;
    }

    [StructLayout(LayoutKind.Explicit, Size = 512)]
    private struct Play
    {
        [FieldOffset(0)] public AtomicPtr<Object> Current;
        [FieldOffset(128)] public AtomicLong Errors;
        [FieldOffset(136)] public AtomicLong Reads;
        [FieldOffset(256)] public Guarded<long> Free;
        [FieldOffset(264)] public Guarded<long> Until;
        [FieldOffset(272)] public Guarded<int> Way;
        [FieldOffset(276)] public Guarded<int> Replaced;
        [FieldOffset(384)] public AtomicInt WriterDone;
    }

    private static void Work(in ThisCpu cpu, void* arg)
    {
        if (cpu.Index == 0) Write(in cpu, (Play*)arg);
        else Read(in cpu, (Play*)arg);
    }

    private static void Read(in ThisCpu cpu, Play* play)
    {
        long reads = 0;
        while (AtomicInt.Load(&play->WriterDone) == 0)
        {
            Rcu.ReadLock(in cpu);
            Object* o = AtomicPtr<Object>.Load(&play->Current);
            for (int look = 0; look < 8; look++)
            {
                if (AtomicLong.Load(&o->Poison) != 0) AtomicLong.Add(&play->Errors, 1);
            }
            if ((reads & 63) == 0) Thread.Yield(); // be preempted inside a section now and then
            if (AtomicLong.Load(&o->Poison) != 0) AtomicLong.Add(&play->Errors, 1);
            Rcu.ReadUnlock(in cpu);
            if ((++reads & 7) == 0) Poll.Run(in cpu);
        }
        AtomicLong.Add(&play->Reads, reads);
    }

    // Objects are taken round robin; Free counts those that are neither current nor on their way.
    private static void Write(in ThisCpu cpu, Play* play)
    {
        var objects = (Object*)(play + 1);
        Way way = (Way)Guarded<int>.Get(&play->Way);
        int next = 1;
        while (Stopwatch.GetTimestamp() < Guarded<long>.Get(&play->Until) && AtomicLong.Load(&play->Errors) == 0)
        {
            Poll.Run(in cpu);
            if (Guarded<long>.Get(&play->Free) == 0) continue;
            Object* o = objects + next++ % Objects;
            AtomicLong.Store(&o->Poison, 0);
            Guarded<long>.Set(&play->Free, Guarded<long>.Get(&play->Free) - 1);
            Object* old = AtomicPtr<Object>.Load(&play->Current);
            AtomicPtr<Object>.Store(&play->Current, o);
            Guarded<int>.Set(&play->Replaced, next);
            switch (way)
            {
                case Way.Callback:
                    Rcu.Call(in cpu, &old->Head, &Free);
                    break;
                case Way.Synchronize:
                    Rcu.Synchronize(in cpu);
                    Free(in cpu, &old->Head);
                    break;
                default:
                    Free(in cpu, &old->Head);
                    break;
            }
        }
        AtomicInt.Store(&play->WriterDone, 1);
    }

    private static void Free(in ThisCpu cpu, RcuHead* head)
    {
        var o = (Object*)head;
        AtomicLong.Store(&o->Poison, 0x6b6b6b6b);
        var play = (Play*)Guarded<nint>.Get(&o->Play);
        Guarded<long>.Set(&play->Free, Guarded<long>.Get(&play->Free) + 1);
    }

    private static (long Errors, int Replaced, long Reads) Run(RcuFlavour flavour, Way way, int milliseconds)
    {
        using PerCpu cpus = TestCpus.Make(3, flavour);
        using CpuGang gang = new(cpus, new PretendPinner());
        nuint bytes = (nuint)(sizeof(Play) + Objects * sizeof(Object));
        var play = (Play*)NativeMemory.AlignedAlloc(bytes, 128);
        NativeMemory.Clear(play, bytes);
        var objects = (Object*)(play + 1);
        for (int i = 0; i < Objects; i++) Guarded<nint>.Set(&objects[i].Play, (nint)play);
        AtomicPtr<Object>.Init(&play->Current, objects);
        Guarded<long>.Set(&play->Free, Objects - 1);
        Guarded<int>.Set(&play->Way, (int)way);
        Guarded<long>.Set(&play->Until, Stopwatch.GetTimestamp() + milliseconds * Stopwatch.Frequency / 1000);
        gang.Run(&Work, play);
        var result = (AtomicLong.Load(&play->Errors), Guarded<int>.Get(&play->Replaced), AtomicLong.Load(&play->Reads));
        if (way == Way.Callback) Assert.Equal(Objects - 1, Guarded<long>.Get(&play->Free)); // every callback has run
        NativeMemory.AlignedFree(play);
        return result;
    }

    [Theory]
    [InlineData(RcuFlavour.Qsbr, false), InlineData(RcuFlavour.Qsbr, true)]
    [InlineData(RcuFlavour.Membarrier, false), InlineData(RcuFlavour.Membarrier, true)]
    public void Readers_never_see_a_freed_object(RcuFlavour flavour, bool wait)
    {
        (long errors, int replaced, long reads) = Run(flavour, wait ? Way.Synchronize : Way.Callback, 150);
        Assert.Equal(0, errors);
        Assert.True(replaced > 0 && reads > 0, $"{replaced} replaced, {reads} reads");
    }

    [Fact]
    public void Freeing_without_a_grace_period_is_caught()
    {
        (long errors, int replaced, long reads) = Run(RcuFlavour.Qsbr, Way.Busted, 2000);
        if (errors == 0) Assert.Skip($"inconclusive: {replaced} frees and {reads} reads never met on this machine");
    }
}
