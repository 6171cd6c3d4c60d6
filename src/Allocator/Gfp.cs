// SPDX-License-Identifier: GPL-2.0-only
namespace MemcgNative.Allocator;

/// <summary>What an allocation may do and wants. Linux: gfp_t, include/linux/gfp.h; only the flags that mean something here.</summary>
[Flags]
public enum Gfp
{
    /// <summary>Any node in fallback order, down to the min watermark, not zeroed, not charged. GFP_KERNEL less reclaim, which sits above.</summary>
    Kernel = 0,
    /// <summary>__GFP_THISNODE: the node asked for or failure.</summary>
    ThisNode = 1 << 0,
    /// <summary>__GFP_ACCOUNT: ask the charge hook; its refusal fails the allocation.</summary>
    Account = 1 << 1,
    /// <summary>__GFP_ZERO: the frames read as zero.</summary>
    Zero = 1 << 2,
    /// <summary>GFP_ATOMIC: may dip to half of the min watermark (Linux: __GFP_HIGH).</summary>
    Atomic = 1 << 3,
    /// <summary>GFP_NOWAIT: for whoever stands above the allocator: do not reclaim. The allocator itself never waits.</summary>
    NoWait = 1 << 4,
}
