// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Native;

namespace MemcgNative.Tests.Interleavings;

/// <summary>A guard of a protocol: there, or taken away.</summary>
internal interface IGuard
{
    static abstract bool On { get; }
}

internal readonly struct GuardOn : IGuard
{
    public static bool On => true;
}

internal readonly struct GuardOff : IGuard
{
    public static bool On => false;
}

/// <summary>
/// A race of the specification, as small as it can be: the words it is about, what each CPU does to them with the guard and without, what must hold.
/// The guard is the patch, or the fix; a script says which.
/// </summary>
internal unsafe interface IRace<TState> where TState : unmanaged
{
    /// <summary>CPUs that take part.</summary>
    static virtual int Cpus => 2;
    /// <summary>Somebody waits for a grace period: CPUs leave RCU when they are done.</summary>
    static virtual bool UsesRcu => false;
    /// <summary>Where it begins; all words are 0.</summary>
    static virtual void Setup(TState* s) { }
    /// <summary>What a CPU does.</summary>
    static abstract void Run<TGuard>(in ThisCpu cpu, TState* s) where TGuard : struct, IGuard;
    /// <summary>What must hold when all are done.</summary>
    static virtual void Final(TState* s) { }
}

/// <summary>A race as a case.</summary>
internal readonly unsafe struct RaceCase<TRace, TState, TGuard> : ICase
    where TRace : struct, IRace<TState> where TState : unmanaged where TGuard : struct, IGuard
{
    private static SimulatedCpus cpus;
    private static TState* state;

    public static int Cpus => TRace.Cpus;

    public static void Setup()
    {
        cpus = SimulatedCpus.New(TRace.Cpus);
        state = Arena.New<TState>(typeof(TRace).Name);
        TRace.Setup(state);
    }

    public static void Body(int cpu)
    {
        ThisCpu self = cpus[cpu];
        TRace.Run<TGuard>(self, state);
        if (TRace.UsesRcu) Rcu.CpuOffline(self);
    }

    public static void Final() => TRace.Final(state);
}

/// <summary>Registers races.</summary>
internal static class Guards
{
    /// <summary>With the guard every schedule must be fine, without it one must break it.</summary>
    public static Case[] Of<TRace, TState>(string id, string guard, string shape, Expect broken = Expect.Broken)
        where TRace : struct, IRace<TState> where TState : unmanaged =>
    [
        Case.Of<RaceCase<TRace, TState, GuardOn>>(id, guard, shape),
        Case.Of<RaceCase<TRace, TState, GuardOff>>(id, $"no-{guard}", shape, broken),
    ];

    /// <summary>An effect that the kernel knows and accepts: a schedule shows it.</summary>
    public static Case Accepted<TRace, TState>(string id, string what, string shape, Expect shown = Expect.Broken) where TRace : struct, IRace<TState> where TState : unmanaged =>
        Case.Of<RaceCase<TRace, TState, GuardOn>>(id, $"accepted-{what}", shape, shown);
}
