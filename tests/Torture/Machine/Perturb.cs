// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.CompilerServices;

namespace MemcgNative.Tests.Torture;

/// <summary>Thrown out of a wait or at the next step once somebody else has failed: everything stops where it is.</summary>
internal sealed class TortureStopped() : Exception("stopped, because another CPU failed");

/// <summary>What disturbs a run: delays at marked accesses, allocations that fail. Off on threads that are no workers.</summary>
internal static class Perturb
{
    /// <summary>Delay at one marked access in DelayMask + 1, a power of two; 0 = never.</summary>
    public static int DelayMask;
    /// <summary>Fail one allocation in FailMask + 1, a power of two; 0 = never.</summary>
    public static int FailMask;
    /// <summary>A CPU failed: nobody goes on.</summary>
    public static volatile bool Abort;

    [ThreadStatic] private static uint state;
    [ThreadStatic] private static Worker? worker;
    /// <summary>Delays on this thread.</summary>
    [ThreadStatic] public static long Delays;
    /// <summary>Waits on this thread that did not end at the first look.</summary>
    [ThreadStatic] public static long Waits;
    /// <summary>Allocations made to fail on this thread.</summary>
    [ThreadStatic] public static long Injected;
    /// <summary>The allocation of this thread that fails next: 1 = the next one; 0 = none.</summary>
    [ThreadStatic] public static int FailNth;

    /// <summary>The calling thread is a worker from now on, or none (null).</summary>
    public static void Enter(Worker? w, uint seed)
    {
        worker = w;
        state = w is null ? 0 : seed | 1;
        FailNth = 0;
    }

    /// <summary>On a thread that is no worker: its nth allocation from now on fails, and nothing else is disturbed.</summary>
    public static void Arm(int nth)
    {
        state = 1;
        FailNth = nth;
    }

    /// <summary>Ends <see cref="Arm"/> and <see cref="Enter"/>.</summary>
    public static void Leave() => Enter(null, 0);

    /// <summary>A marked access.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Here()
    {
        if (DelayMask != 0) Maybe();
    }

    /// <summary>A marked load.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static unsafe void Reads(void* word, string file)
    {
        Here();
        LineTally.Reads(word, file);
    }

    /// <summary>A marked store.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static unsafe void Writes(void* word, string file)
    {
        Here();
        LineTally.Writes(word, file);
    }

    /// <summary>A marked access that locks the line of word; null: a fence.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static unsafe void Locked(void* word, string file)
    {
        Here();
        if (LockedTally.On) LockedTally.Count(word, file);
        LineTally.Locks(word, file);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void Maybe()
    {
        uint s = state;
        if (s == 0) return;
        state = s = Next(s);
        s >>= 12;
        if ((s & DelayMask) != 0) return;
        Delays++;
        switch (s >> 10 & 1023)
        {
            case 0:
                Thread.Sleep(1); // descheduled: where nobody waits for us, grace periods end meanwhile
                break;
            case < 16:
                Thread.Sleep(0);
                break;
            case < 128:
                Thread.Yield();
                break;
            default:
                Spin(1 << (int)(s >> 17 & 3));
                break;
        }
    }

    /// <summary>A short delay.</summary>
    public static void Spin(int pauses)
    {
        for (int i = 0; i < pauses; i++) Native.Machine.Pause();
    }

    // xorshift32: never 0 from a state that is not 0.
    private static uint Next(uint s)
    {
        s ^= s << 13;
        s ^= s >> 17;
        return s ^ s << 5;
    }

    /// <summary>should_fail.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public static bool ShouldFail()
    {
        uint s = state;
        if (s == 0) return false;
        if (FailNth != 0 && --FailNth == 0)
        {
            Injected++;
            return true;
        }
        if (FailMask == 0) return false;
        state = s = Next(s);
        if ((s >> 12 & FailMask) != 0) return false;
        Injected++;
        return true;
    }

    /// <summary>A wait that takes long: remembered for the watchdog's report, ended by a failure elsewhere.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public static void StillWaiting(string file, int line)
    {
        if (worker is { } w) w.WaitsAt = (file, line);
        if (Abort) throw new TortureStopped();
        Thread.Yield();
    }
}
