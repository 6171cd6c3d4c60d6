// SPDX-License-Identifier: GPL-2.0-only
using BenchmarkDotNet.Attributes;

namespace MemcgNative.Bench.Micro;

/// <summary>Shows that the guard bites; runs only when asked for by name.</summary>
public class Busted
{
    /// <summary>A hot path that allocates.</summary>
    [Benchmark]
    public object Allocates() => new byte[24];

    /// <summary>A benchmark that cannot be measured.</summary>
    [Benchmark]
    public int Throws() => throw new InvalidOperationException("on purpose");
}
