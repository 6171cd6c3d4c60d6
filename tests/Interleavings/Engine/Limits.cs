// SPDX-License-Identifier: GPL-2.0-only
namespace MemcgNative.Tests.Interleavings;

/// <summary>What one exploration may use. All state is native and allocated once, so that a fiber never holds a managed reference.</summary>
internal static class Limits
{
    /// <summary>Simulated CPUs.</summary>
    public const int Cpus = 6;
    /// <summary>Whoever may take a step: each CPU's thread, its nested irq role, its store buffer.</summary>
    public const int Agents = 16;
    /// <summary>Steps of one execution.</summary>
    public const int Steps = 6000;
    /// <summary>Accesses of one execution that are no steps.</summary>
    public const int Plain = 200_000;
    /// <summary>Stores one CPU may have in flight.</summary>
    public const int Buffered = 32;
    /// <summary>Bytes of the arena; all shared state lives there.</summary>
    public const int ArenaBytes = 1 << 20;
    /// <summary>Bytes a CPU may allocate during one execution.</summary>
    public const int HeapBytes = 1 << 14;
    /// <summary>Distinct locations one exploration may touch.</summary>
    public const int Locations = 1 << 13;
}
