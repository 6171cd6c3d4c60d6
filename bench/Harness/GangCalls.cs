// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.InteropServices;
using MemcgNative.Native;

namespace MemcgNative.Bench;

/// <summary>Set-up work on a pinned CPU.</summary>
internal delegate void CpuAction(in ThisCpu cpu);

/// <summary>Lets the control plane run managed code on the workers, between batches.</summary>
internal static unsafe class GangCalls
{
    /// <summary>action on the first workers CPUs (0 = all), at the same time.</summary>
    public static void Do(this CpuGang gang, CpuAction action, int workers = 0)
    {
        GCHandle handle = GCHandle.Alloc(action);
        try
        {
            gang.Run(&Invoke, (void*)GCHandle.ToIntPtr(handle), workers);
        }
        finally
        {
            handle.Free();
        }
    }

    private static void Invoke(in ThisCpu cpu, void* argument) => ((CpuAction)GCHandle.FromIntPtr((nint)argument).Target!)(in cpu);
}
