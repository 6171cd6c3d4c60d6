// SPDX-License-Identifier: GPL-2.0-only
// The only conditional compilation in the source: which declarations of Windows the rest compiles against.
#if TERRAFX
global using TerraFX.Interop.Windows;
#else
global using MemcgNative.Native.Win32;
#endif
