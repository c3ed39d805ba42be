/*
 * The one narrow table through which the plug-in calls CUDA, cuDNN and cuBLASLt.
 *
 * Nothing of NVIDIA's is linked: the driver and the libraries are opened at run time, so
 * that what is missing can be said in one line. Calls go through CU, DNN and LT, so that
 * tests can make the k-th call fail (hsi_cuda_fail_call). Kernels are launched with the
 * driver's cuLaunchKernelEx; the runtime library (libcudart) is not used.
 */
#ifndef HSI_BACKEND_CUDA_API_H
#define HSI_BACKEND_CUDA_API_H

#include <cublasLt.h>
#include <cuda.h>
#include <cudnn.h>

#include <hsched/backend.h>

/* clang-format off */
#define HSI_CU_LIST(X)                                                                   \
    X(cuInit) X(cuDriverGetVersion) X(cuGetErrorName) X(cuGetErrorString)                \
    X(cuDeviceGetCount) X(cuDeviceGet) X(cuDeviceGetName) X(cuDeviceGetAttribute)        \
    X(cuDeviceTotalMem) X(cuDeviceGetPCIBusId)                                           \
    X(cuDevicePrimaryCtxRetain) X(cuDevicePrimaryCtxRelease)                             \
    X(cuCtxPushCurrent) X(cuCtxPopCurrent) X(cuCtxSynchronize)                           \
    X(cuCtxGetStreamPriorityRange) X(cuMemAlloc) X(cuMemFree) X(cuMemHostAlloc)          \
    X(cuMemFreeHost) X(cuMemHostRegister) X(cuMemHostUnregister)                         \
    X(cuMemHostGetDevicePointer) X(cuMemcpyHtoD) X(cuMemcpyDtoH) X(cuMemcpyHtoDAsync)    \
    X(cuMemcpyDtoHAsync) X(cuMemcpyDtoDAsync) X(cuMemsetD8) X(cuMemsetD8Async)           \
    X(cuStreamCreateWithPriority) X(cuStreamDestroy) X(cuStreamSynchronize)              \
    X(cuStreamQuery) X(cuStreamWaitEvent) X(cuStreamWriteValue32)                        \
    X(cuStreamBeginCapture) X(cuStreamEndCapture) X(cuEventCreate) X(cuEventDestroy)     \
    X(cuEventRecord) X(cuEventQuery) X(cuEventSynchronize) X(cuEventElapsedTime)         \
    X(cuGraphInstantiateWithFlags) X(cuGraphDestroy) X(cuGraphExecDestroy)               \
    X(cuGraphLaunch) X(cuGraphUpload) X(cuLibraryLoadData) X(cuLibraryUnload)            \
    X(cuLibraryGetKernel) X(cuKernelSetAttribute) X(cuKernelGetAttribute)                \
    X(cuLaunchKernelEx) X(cuOccupancyMaxActiveClusters) X(cuGraphCreate)                 \
    X(cuGraphAddMemcpyNode) X(cuMemcpyAsync) X(cuGraphAddKernelNode)                     \
    X(cuGraphKernelNodeSetAttribute) X(cuGraphAddChildGraphNode)

/* Not in every driver; NULL where they are missing. */
#define HSI_CU_OPTIONAL_LIST(X)                                                           \
    X(cuDeviceGetDevResource) X(cuDevSmResourceSplitByCount)                              \
    X(cuDevResourceGenerateDesc) X(cuGreenCtxCreate) X(cuGreenCtxDestroy)                 \
    X(cuGreenCtxStreamCreate) X(cuCtxFromGreenCtx) X(cuGraphAddDependencies_v2)           \
    X(cuGraphGetNodes) X(cuGraphGetEdges) X(cuGraphNodeGetType)                           \
    X(cuGraphKernelNodeGetParams) X(cuGraphKernelNodeGetAttribute)                        \
    X(cuGraphMemsetNodeGetParams) X(cuGraphAddMemsetNode)

#define HSI_DNN_LIST(X)                                                                    \
    X(cudnnGetVersion) X(cudnnGetErrorString) X(cudnnCreate) X(cudnnDestroy)               \
    X(cudnnSetStream) X(cudnnBackendCreateDescriptor) X(cudnnBackendDestroyDescriptor)     \
    X(cudnnBackendSetAttribute) X(cudnnBackendGetAttribute) X(cudnnBackendFinalize)        \
    X(cudnnBackendExecute)

/* NULL, all of them, where the parts of cuDNN that these are in are not installed: it would end
 * the program in the first call. */
#define HSI_RNN_LIST(X)                                                                    \
    X(cudnnCreateRNNDescriptor) X(cudnnDestroyRNNDescriptor) X(cudnnSetRNNDescriptor_v8)   \
    X(cudnnCreateRNNDataDescriptor) X(cudnnDestroyRNNDataDescriptor)                       \
    X(cudnnSetRNNDataDescriptor) X(cudnnCreateTensorDescriptor)                            \
    X(cudnnDestroyTensorDescriptor) X(cudnnSetTensorNdDescriptor)                          \
    X(cudnnGetRNNTempSpaceSizes) X(cudnnGetRNNWeightSpaceSize) X(cudnnGetRNNWeightParams)  \
    X(cudnnRNNForward)

#define HSI_DNN_OPTIONAL_LIST(X) X(cudnnBackendPopulateCudaGraph)

#define HSI_LT_LIST(X)                                                                     \
    X(cublasLtGetVersion) X(cublasLtGetStatusString) X(cublasLtCreate) X(cublasLtDestroy)  \
    X(cublasLtMatmulDescCreate) X(cublasLtMatmulDescDestroy)                               \
    X(cublasLtMatmulDescSetAttribute) X(cublasLtMatrixLayoutCreate)                        \
    X(cublasLtMatrixLayoutDestroy) X(cublasLtMatrixLayoutSetAttribute)                     \
    X(cublasLtMatmulPreferenceCreate) X(cublasLtMatmulPreferenceDestroy)                   \
    X(cublasLtMatmulPreferenceSetAttribute) X(cublasLtMatmulAlgoGetHeuristic)              \
    X(cublasLtMatmulAlgoCheck) X(cublasLtMatmul)
/* clang-format on */

/* Members have the names that the headers' macros make of them (cuMemAlloc_v2), and so do
 * the symbols that are looked up. */
#define HSI_API_MEMBER(name) __typeof__(&(name)) name;
typedef struct hsi_cuda_table {
    HSI_CU_LIST(HSI_API_MEMBER)
    HSI_CU_OPTIONAL_LIST(HSI_API_MEMBER)
    HSI_DNN_LIST(HSI_API_MEMBER)
    HSI_DNN_OPTIONAL_LIST(HSI_API_MEMBER)
    HSI_RNN_LIST(HSI_API_MEMBER)
    HSI_LT_LIST(HSI_API_MEMBER)
} hsi_cuda_table;
#undef HSI_API_MEMBER

extern hsi_cuda_table hsi_cuda;

/* Opens the driver and the libraries, once per process. 1, or 0 and `why` (a string that
 * lives on) names what is missing. Any thread. */
int hsi_cuda_load(const char **why);

/* Tests: the k-th call from now (1: the next) fails; 0: none does. `sticky`: as an error
 * that poisons the context, else as out of memory. */
void hsi_cuda_fail_call(uint64_t k, int sticky);
/* Not 0 if the present call is to fail; counts calls. */
int hsi_cuda_fault(void);
CUresult hsi_cuda_fault_result(void);

#define CU(name, ...)                                                                    \
    (hsi_cuda_fault() ? hsi_cuda_fault_result() : hsi_cuda.name(__VA_ARGS__))
#define DNN(name, ...)                                                                   \
    (hsi_cuda_fault() ? CUDNN_STATUS_EXECUTION_FAILED : hsi_cuda.name(__VA_ARGS__))
#define LT(name, ...)                                                                    \
    (hsi_cuda_fault() ? CUBLAS_STATUS_EXECUTION_FAILED : hsi_cuda.name(__VA_ARGS__))

/*
 * From a library's result to a status, with the error detail set to "GPU: <doing>: <name of
 * the error> (<call>)". OUT_OF_MEMORY for lack of memory; DEVICE for errors that poison the
 * context; UNSUPPORTED for what the library says it does not support; else INTERNAL.
 */
hsched_status hsi_cuda_check(CUresult result, const char *call, const char *doing);
hsched_status hsi_cuda_check_dnn(cudnnStatus_t result, const char *call,
                                 const char *doing);
hsched_status hsi_cuda_check_lt(cublasStatus_t result, const char *call,
                                const char *doing);

#define CU_CHECK(doing, name, ...) hsi_cuda_check(CU(name, __VA_ARGS__), #name, doing)
#define DNN_CHECK(doing, name, ...)                                                      \
    hsi_cuda_check_dnn(DNN(name, __VA_ARGS__), #name, doing)
#define LT_CHECK(doing, name, ...) hsi_cuda_check_lt(LT(name, __VA_ARGS__), #name, doing)

#endif
