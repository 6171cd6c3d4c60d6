// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Accounting;

namespace MemcgNative.Bench;

/// <summary>Makes the machine of a plan.</summary>
internal sealed class InstanceMaker(InstancePlan plan) : IControllerUser<Instance>
{
    /// <inheritdoc/>
    public Instance Use<TC>() where TC : struct, IMemoryController => new Instance<TC>(plan);
}
