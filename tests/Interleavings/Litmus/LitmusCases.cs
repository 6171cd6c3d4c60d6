// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Native;

namespace MemcgNative.Tests.Interleavings;

/// <summary>What two to four CPUs see of each other's stores.</summary>
internal unsafe interface ILitmus
{
    static abstract int Cpus { get; }
    static abstract void Body(int cpu);
    /// <summary>The outcome in question.</summary>
    static abstract bool Weak { get; }
}

/// <summary>Three shared variables and four registers, the vocabulary of every shape.</summary>
internal static unsafe class LitmusState
{
    public static AtomicInt* Variables;
    public static Guarded<int>* Registers;

    public static void Load(int register, int variable) => Guarded<int>.Set(Registers + register, AtomicInt.Load(Variables + variable));
    public static void Store(int variable, int value) => AtomicInt.Store(Variables + variable, value);
    public static void Fence() => Machine.Fence();
    public static void Rmw(int variable) => AtomicInt.AddReturn(Variables + variable, 1);
    public static int R(int register) => Guarded<int>.Get(Registers + register);
    public static int V(int variable) => AtomicInt.Load(Variables + variable);
}

/// <summary>A shape as a case that fails when the outcome is seen, so that "broken under TSO" means "the store buffer shows it".</summary>
internal readonly unsafe struct LitmusCase<T> : ICase where T : struct, ILitmus
{
    public static int Cpus => T.Cpus;
    public static void Body(int cpu) => T.Body(cpu);

    public static void Setup()
    {
        LitmusState.Variables = Arena.Array<AtomicInt>(3, "v");
        LitmusState.Registers = Arena.Array<Guarded<int>>(4, "r");
    }

    public static void Final()
    {
        if (T.Weak) Bug.Fail("the outcome in question was seen");
    }
}

/// <summary>
/// The thirteen shapes. Expected outcomes: x86-TSO as published by Owens, Sarkar and Sewell (2009) and Sewell et al. (2010); with every
/// marked access compiled as .NET does, arm64 with LDAPR allows the same ones.
/// </summary>
internal static class LitmusCases
{
    public static IReadOnlyList<Case> All { get; } =
    [
        Shape<StoreBuffering>("SB", Expect.BrokenUnderTso),
        Shape<StoreBufferingFenced>("SB+mb", Expect.Exhausted),
        Shape<StoreBufferingRmw>("SB+rmw", Expect.Exhausted),
        Shape<MessagePassing>("MP", Expect.Exhausted),
        Shape<LoadBuffering>("LB", Expect.Exhausted),
        Shape<IndependentReads>("IRIW", Expect.Exhausted),
        Shape<TwoPlusTwoWrites>("2+2W", Expect.Exhausted),
        Shape<ReadShape>("R", Expect.BrokenUnderTso),
        Shape<ReadShapeFenced>("R+mb", Expect.Exhausted),
        Shape<StoreShape>("S", Expect.Exhausted),
        Shape<WriteToRead>("WRC", Expect.Exhausted),
        Shape<Coherence>("CoRR", Expect.Exhausted),
        Shape<OwnStoreFirst>("n6", Expect.BrokenUnderTso),
    ];

    private static Case Shape<T>(string name, Expect expect) where T : struct, ILitmus => Case.Of<LitmusCase<T>>("litmus", shape: name, expect: expect);
}
