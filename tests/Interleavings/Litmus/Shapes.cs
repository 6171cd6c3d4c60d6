// SPDX-License-Identifier: GPL-2.0-only
using static MemcgNative.Tests.Interleavings.LitmusState;

namespace MemcgNative.Tests.Interleavings;

// x is variable 0, y is variable 1. Each shape is named as the literature names it (LitmusCases).

internal readonly struct StoreBuffering : ILitmus
{
    public static int Cpus => 2;
    public static void Body(int cpu)
    {
        Store(cpu, 1);
        Load(cpu, 1 - cpu);
    }
    public static bool Weak => R(0) == 0 && R(1) == 0;
}

internal readonly struct StoreBufferingFenced : ILitmus
{
    public static int Cpus => 2;
    public static void Body(int cpu)
    {
        Store(cpu, 1);
        Fence();
        Load(cpu, 1 - cpu);
    }
    public static bool Weak => R(0) == 0 && R(1) == 0;
}

internal readonly struct StoreBufferingRmw : ILitmus
{
    public static int Cpus => 2;
    public static void Body(int cpu)
    {
        Rmw(cpu);
        Load(cpu, 1 - cpu);
    }
    public static bool Weak => R(0) == 0 && R(1) == 0;
}

internal readonly struct MessagePassing : ILitmus
{
    public static int Cpus => 2;
    public static void Body(int cpu)
    {
        if (cpu == 0) { Store(0, 1); Store(1, 1); }
        else { Load(0, 1); Load(1, 0); }
    }
    public static bool Weak => R(0) == 1 && R(1) == 0;
}

internal readonly struct LoadBuffering : ILitmus
{
    public static int Cpus => 2;
    public static void Body(int cpu)
    {
        Load(cpu, cpu);
        Store(1 - cpu, 1);
    }
    public static bool Weak => R(0) == 1 && R(1) == 1;
}

internal readonly struct IndependentReads : ILitmus
{
    public static int Cpus => 4;
    public static void Body(int cpu)
    {
        if (cpu < 2) Store(cpu, 1);
        else if (cpu == 2) { Load(0, 0); Load(1, 1); }
        else { Load(2, 1); Load(3, 0); }
    }
    public static bool Weak => R(0) == 1 && R(1) == 0 && R(2) == 1 && R(3) == 0;
}

internal readonly struct TwoPlusTwoWrites : ILitmus
{
    public static int Cpus => 2;
    public static void Body(int cpu)
    {
        Store(cpu, 1);
        Store(1 - cpu, 2);
    }
    public static bool Weak => V(0) == 1 && V(1) == 1;
}

internal readonly struct ReadShape : ILitmus
{
    public static int Cpus => 2;
    public static void Body(int cpu)
    {
        if (cpu == 0) { Store(0, 1); Store(1, 1); }
        else { Store(1, 2); Load(0, 0); }
    }
    public static bool Weak => V(1) == 2 && R(0) == 0;
}

internal readonly struct ReadShapeFenced : ILitmus
{
    public static int Cpus => 2;
    public static void Body(int cpu)
    {
        if (cpu == 0) { Store(0, 1); Store(1, 1); }
        else { Store(1, 2); Fence(); Load(0, 0); }
    }
    public static bool Weak => V(1) == 2 && R(0) == 0;
}

internal readonly struct StoreShape : ILitmus
{
    public static int Cpus => 2;
    public static void Body(int cpu)
    {
        if (cpu == 0) { Store(0, 2); Store(1, 1); }
        else { Load(0, 1); Store(0, 1); }
    }
    public static bool Weak => R(0) == 1 && V(0) == 2;
}

internal readonly struct WriteToRead : ILitmus
{
    public static int Cpus => 3;
    public static void Body(int cpu)
    {
        if (cpu == 0) Store(0, 1);
        else if (cpu == 1) { Load(0, 0); Store(1, 1); }
        else { Load(1, 1); Load(2, 0); }
    }
    public static bool Weak => R(0) == 1 && R(1) == 1 && R(2) == 0;
}

internal readonly struct Coherence : ILitmus
{
    public static int Cpus => 2;
    public static void Body(int cpu)
    {
        if (cpu == 0) Store(0, 1);
        else { Load(0, 0); Load(1, 0); }
    }
    public static bool Weak => R(0) == 1 && R(1) == 0;
}

internal readonly struct OwnStoreFirst : ILitmus
{
    public static int Cpus => 2;
    public static void Body(int cpu)
    {
        if (cpu == 0) { Store(0, 1); Load(0, 0); Load(1, 1); }
        else { Store(1, 1); Store(0, 2); }
    }
    public static bool Weak => R(0) == 1 && R(1) == 0 && V(0) == 1;
}
