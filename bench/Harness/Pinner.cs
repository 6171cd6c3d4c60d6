// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Native;

namespace MemcgNative.Bench;

/// <summary>The operating system's affinity for the gang.</summary>
internal sealed class Pinner : IThreadPinner
{
    /// <inheritdoc/>
    public void Pin(CpuId cpu) => ThreadAffinity.Pin(cpu);

    /// <inheritdoc/>
    public CpuId Current() => ThreadAffinity.Current();
}
